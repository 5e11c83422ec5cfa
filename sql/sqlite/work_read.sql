select link, side, key, reason, cause, waits, attempts, next_try, cycle, since, approved from twinrow_work where link = ?1 and side = ?2 and key = ?3
