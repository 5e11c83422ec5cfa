delete q from json_table(?, '$[*]' columns (n bigint path '$' error on error)) as a
straight_join twinrow_queue as q force index (primary) on q.n = a.n and q.op = 'U'
