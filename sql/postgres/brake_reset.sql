delete from twinrow.brake_window where link = $1::int8 and side = $2::int8 and kind = $3::int8
