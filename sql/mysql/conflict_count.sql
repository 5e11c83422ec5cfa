select count(*) from twinrow_conflict where link = ?1 and kept = 1
