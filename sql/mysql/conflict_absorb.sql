-- A receipt proves the write, so what it overwrote is kept with it.
update json_table(?, '$[*]' columns (pair bigint path '$[0]' error on error)) as a
straight_join twinrow_conflict as p on p.pair = a.pair and p.kept = 0
set p.kept = 1
