update twinrow.conflict set kept = 1 where id = any($1::bytea[])
