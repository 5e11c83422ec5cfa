update json_table(?, '$[*]' columns (id longtext path '$[0]' error on error)) as a
straight_join twinrow_conflict as p force index (primary) on p.id = unhex(a.id)
set p.kept = 1
