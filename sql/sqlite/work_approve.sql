-- What a person approved stays so whatever it waits for: reason 6 instead of 4.
update twinrow_work set reason = 6, cause = 'approved', next_try = 0, approved = ?4 where link = ?1 and side = ?2 and key = ?3
