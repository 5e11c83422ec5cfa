update twinrow.conflict set kept = 1 where id = any((select $1::bytea[])::bytea[])
