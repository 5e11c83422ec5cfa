-- A key was generated that a live pair still holds: that record is gone (step 7).
update twinrow.pair p set s_former = s_key, s_key = null, ver = p.ver + 1, cycle = $4::int8
from unnest((select $2::bytea[]), (select $3::int8[])) as v(k, keeper)
where p.link = $1::int8 and p.s_key = v.k and p.id <> v.keeper returning p.id, p.link, p.s_key, p.t_key, p.s_former, p.t_former, p.s_pos, p.t_pos, p.status, p.ver, p.cycle, p.diverged, p.bases
