-- Pairs that exchange their keys: each lets go of its own, before pair_update gives it the other's.
update twinrow.pair p set s_key = null, t_key = null
from unnest((select $1::int8[]), (select $2::int8[])) as v(id, ver)
where p.id = v.id and p.ver = v.ver - 1
