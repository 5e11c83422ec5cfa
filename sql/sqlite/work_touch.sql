update twinrow_work set next_try = 0 where link = ?1 and side = ?2 and key = ?3
