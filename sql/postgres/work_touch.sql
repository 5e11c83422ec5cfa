update twinrow.work set next_try = 0 where link = $1::int8 and side = $2::int8 and key = $3::bytea
