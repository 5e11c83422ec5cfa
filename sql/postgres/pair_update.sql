-- Valid only for the version the decision was made on (rule 3). Behind a select, the length of the set is hidden
-- from the planner, which else reads a map of a hundred thousand pairs from end to end for each batch.
update twinrow.pair p set s_key = v.s_key, t_key = v.t_key, s_former = v.s_former, t_former = v.t_former, s_pos = v.s_pos, t_pos = v.t_pos, status = v.status, ver = v.ver, cycle = v.cycle, diverged = v.diverged, bases = v.bases
from unnest((select $1::int8[]), (select $2::int8[]), (select $3::bytea[]), (select $4::bytea[]), (select $5::bytea[]), (select $6::bytea[]), (select $7::int8[]), (select $8::int8[]), (select $9::int8[]), (select $10::int8[]), (select $11::int8[]), (select $12::int8[]), (select $13::bytea[])) as v(id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases)
where p.id = v.id and p.ver = v.ver - 1
