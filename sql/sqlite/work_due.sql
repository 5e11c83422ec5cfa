-- Not what this very cycle put here; records that lost a side (reason 4; 6: approved) on their own, they are under the brake.
select link, side, key, reason, cause, waits, attempts, next_try, cycle, since, approved from twinrow_work where link = ?1 and next_try <= ?2 and cycle <> ?3 and (reason in (4, 6)) = ?4
order by next_try, side, key limit ?5
