select distinct link from twinrow_conflict where integration = ?1 and kept = 2
