-- What is long comes a side at a time, and by itself: together they might be more than one packet holds.
update twinrow_conflict set s_row = coalesce(?2, s_row), t_row = coalesce(?3, t_row) where id = unhex(?1)
