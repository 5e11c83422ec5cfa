insert into twinrow_queue (n, collection, seq, op, origin, old_key, new_key)
select a.n, a.collection, a.seq, a.op, a.origin, unhex(a.old_key), unhex(a.new_key)
from json_table(?, '$[*]' columns (n bigint path '$[0]' error on error, collection longtext path '$[1]' error on error,
seq bigint path '$[2]' error on error, op longtext path '$[3]' error on error, origin longtext path '$[4]' error on error,
old_key longtext path '$[5]' error on error, new_key longtext path '$[6]' error on error)) as a
