-- A receipt proves the write, so what it overwrote is kept with it.
update twinrow_conflict set kept = 1 where pair = ?1 and kept = 0
