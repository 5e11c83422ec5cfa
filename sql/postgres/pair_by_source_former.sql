-- Live pairs that lost this side under this key (rule 8), also where it was made again there under another one.
-- (Key by key: else the planner looks through all pairs that ever lost this side. OFFSET keeps it from doing so.)
select p.id, p.link, p.s_key, p.t_key, p.s_former, p.t_former, p.s_pos, p.t_pos, p.status, p.ver, p.cycle, p.diverged, p.bases
from (select distinct k from unnest((select $2::bytea[])) as v(k)) v
cross join lateral (select * from twinrow.pair p where p.link = $1::int8 and p.s_former = v.k offset 0) p where p.status <> 2
