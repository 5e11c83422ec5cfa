delete p from json_table(?, '$[*]' columns (integration longtext path '$[0]' error on error)) as a
straight_join twinrow_edge as p force index (primary) on p.integration = a.integration
