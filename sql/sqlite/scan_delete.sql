delete from twinrow_scan where link = ?1
