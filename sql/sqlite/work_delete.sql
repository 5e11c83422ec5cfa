delete from twinrow_work where link = ?1 and side = ?2 and key = ?3
