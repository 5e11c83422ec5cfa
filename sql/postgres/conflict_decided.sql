-- It was decided: the values of that moment are nobody's business any more.
delete from twinrow.conflict where id = any((select $1::bytea[])::bytea[]) and kept = 2
