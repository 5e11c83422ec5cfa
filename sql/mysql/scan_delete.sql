delete p from json_table(?, '$[*]' columns (link bigint path '$[0]' error on error)) as a
straight_join twinrow_scan as p force index (primary) on p.link = a.link
