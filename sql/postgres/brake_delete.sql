delete from twinrow.brake where link = $1::int8 and side = $2::int8 and kind = $3::int8
