update twinrow_brake set approved = ?4 where link = ?1 and side = ?2 and kind = ?3
