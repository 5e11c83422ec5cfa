-- Decided otherwise in the end: nothing was overwritten.
delete from twinrow.conflict where id = any($1::bytea[]) and kept = 0
