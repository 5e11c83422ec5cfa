-- Decided otherwise in the end: nothing was overwritten.
delete from twinrow.conflict where id = any((select $1::bytea[])::bytea[]) and kept = 0
