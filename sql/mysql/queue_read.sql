select a.at, q.seq, q.op, q.origin, q.n, q.old_key, q.new_key
from json_table(?, '$[*]' columns (at bigint path '$[0]' error on error, name longtext path '$[1]' error on error,
n bigint path '$[2]' error on error)) as a straight_join twinrow_queue as q on q.collection = a.name and q.n > a.n
order by q.n limit ?
