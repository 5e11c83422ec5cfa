-- It was decided: the values of that moment are nobody's business any more.
delete p from json_table(?, '$[*]' columns (id longtext path '$[0]' error on error)) as a
straight_join twinrow_conflict as p force index (primary) on p.id = unhex(a.id) and p.kept = 2
