select link, side, key, reason, cause, waits, attempts, next_try, cycle, since from twinrow.work where link = $1::int8 and (side, key) > ($2::int8, $3::bytea) order by side, key limit $4::int8
