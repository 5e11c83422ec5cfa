-- As pair_update, for pairs whose keys stay: narrow, and no index changes where the page has room.
update twinrow.pair p set s_pos = v.s_pos, t_pos = v.t_pos, ver = v.ver, cycle = v.cycle, diverged = v.diverged, bases = v.bases
from unnest((select $1::int8[]), (select $2::int8[]), (select $3::int8[]), (select $4::int8[]), (select $5::int8[]), (select $6::int8[]), (select $7::bytea[])) as v(id, s_pos, t_pos, ver, cycle, diverged, bases)
where p.id = v.id and p.ver = v.ver - 1
