-- Valid only for the version the decision was made on (rule 3).
update twinrow.pair p set s_key = v.s_key, t_key = v.t_key, s_former = v.s_former, t_former = v.t_former, s_pos = v.s_pos, t_pos = v.t_pos, status = v.status, ver = v.ver, cycle = v.cycle, diverged = v.diverged, bases = v.bases
from unnest($1::int8[], $2::int8[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::int8[], $8::int8[], $9::int8[], $10::int8[], $11::int8[], $12::int8[], $13::bytea[]) as v(id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases)
where p.id = v.id and p.ver = v.ver - 1
