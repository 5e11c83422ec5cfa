-- Exactly these rows, each only as long as the newer one that repeats it is there. The index is forced: a scan of a
-- small log would wait for rows that are not committed yet (A46).
delete p from json_table(?, '$[*]' columns (seq bigint unsigned path '$[0]' error on error, newer bigint unsigned path '$[1]' error on error)) as a
straight_join {log} as q force index (primary) on q.seq = a.newer
straight_join {log} as p force index (primary) on p.seq = a.seq and p.op = 'U'
