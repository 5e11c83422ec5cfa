update twinrow.work set next_try = 0 where link = $1::int8 and reason = $2::int8
