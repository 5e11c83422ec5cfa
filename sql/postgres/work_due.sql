-- Not what this very cycle put here; records that lost a side (reason 4; 6: approved) on their own, they are under the brake.
select link, side, key, reason, cause, waits, attempts, next_try, cycle, since, approved from twinrow.work where link = $1::int8 and next_try <= $2::int8 and cycle <> $3::int8 and (reason in (4, 6))::int4 = $4::int8
order by next_try, side, key limit $5::int8
