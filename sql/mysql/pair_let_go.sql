-- Pairs that exchange their keys: each lets go of its own, before pair_update gives it the other's.
update json_table(?, '$[*]' columns (id bigint path '$[0]' error on error, ver bigint path '$[1]' error on error)) as a
straight_join twinrow_pair as p force index (primary) on p.id = a.id and p.ver = a.ver - 1
set p.s_key = null, p.t_key = null
