delete from twinrow_brake where link = ?1 and side = ?2 and kind = ?3
