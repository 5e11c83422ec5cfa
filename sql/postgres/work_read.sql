select link, side, key, reason, cause, waits, attempts, next_try, cycle, since, approved from twinrow.work where link = $1::int8 and side = $2::int8 and key = any((select $3::bytea[])::bytea[])
