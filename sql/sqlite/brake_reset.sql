delete from twinrow_brake_window where link = ?1 and side = ?2 and kind = ?3
