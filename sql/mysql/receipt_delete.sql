delete p from json_table(?, '$[*]' columns (integration longtext path '$[0]' error on error, n bigint path '$[1]' error on error)) as a
straight_join twinrow_receipt as p force index (primary) on p.integration = a.integration and p.n = a.n
