-- One creator at a time in a collection, so that "no match" still holds when the row is inserted (rule 13).
update json_table(?, '$[*]' columns (name longtext path '$[0]' error on error)) as a
straight_join twinrow_collection as p force index (primary) on p.name = a.name
set p.n = p.n + 1
