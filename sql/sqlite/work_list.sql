select link, side, key, reason, cause, waits, attempts, next_try, cycle, since, approved from twinrow_work where link = ?1 and (link, side, key) > (?1, ?2, ?3) order by side, key limit ?4
