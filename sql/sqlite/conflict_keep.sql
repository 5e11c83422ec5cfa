update twinrow_conflict set kept = 1 where id = ?1
