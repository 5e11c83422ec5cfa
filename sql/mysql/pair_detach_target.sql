-- A key was generated that a live pair still holds: that record is gone (step 7).
-- MySQL has no RETURNING: the rows as they will be, then the change; nobody else writes to the map meanwhile.
select p.id, p.link, p.s_key, null, p.s_former, p.t_key, p.s_pos, p.t_pos, p.status, p.ver + 1, a.cycle, p.diverged, p.bases
from json_table(?, '$[*]' columns (
    link bigint path '$[0]' error on error, t_key longtext path '$[1]' error on error,
    id bigint path '$[2]' error on error, cycle bigint path '$[3]' error on error)) as a
straight_join twinrow_pair as p force index (twinrow_pair_t_key) on p.link = a.link and p.t_key = unhex(a.t_key) and p.id <> a.id;
update json_table(?, '$[*]' columns (
    link bigint path '$[0]' error on error, t_key longtext path '$[1]' error on error,
    id bigint path '$[2]' error on error, cycle bigint path '$[3]' error on error)) as a
straight_join twinrow_pair as p force index (twinrow_pair_t_key) on p.link = a.link and p.t_key = unhex(a.t_key) and p.id <> a.id
set p.t_former = unhex(a.t_key), p.t_key = null, p.ver = p.ver + 1, p.cycle = a.cycle
