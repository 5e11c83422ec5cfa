delete p from json_table(?, '$[*]' columns (id bigint path '$[0]' error on error)) as a
straight_join twinrow_intent as p force index (primary) on p.id = a.id
