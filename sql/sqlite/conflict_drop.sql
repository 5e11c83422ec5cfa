-- Decided otherwise in the end: nothing was overwritten.
delete from twinrow_conflict where id = ?1 and kept = 0
