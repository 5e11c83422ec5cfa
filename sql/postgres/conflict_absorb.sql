-- A receipt proves the write, so what it overwrote is kept with it.
update twinrow.conflict set kept = 1 where pair = any($1::int8[]) and kept = 0
