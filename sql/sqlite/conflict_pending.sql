select pair from twinrow_conflict where integration = ?1 and kept = 0
