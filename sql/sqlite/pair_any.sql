select 1 from twinrow_pair where link = ?1 limit 1
