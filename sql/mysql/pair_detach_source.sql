-- A key was generated that a live pair still holds: that record is gone (step 7).
-- MySQL has no RETURNING: the rows as they will be, then the change; nobody else writes to the map meanwhile.
select p.id, p.link, null, p.t_key, p.s_key, p.t_former, p.s_pos, p.t_pos, p.status, p.ver + 1, a.cycle, p.diverged, p.bases
from json_table(?, '$[*]' columns (
    link bigint path '$[0]' error on error, s_key longtext path '$[1]' error on error,
    id bigint path '$[2]' error on error, cycle bigint path '$[3]' error on error)) as a
straight_join twinrow_pair as p force index (twinrow_pair_s_key) on p.link = a.link and p.s_key = unhex(a.s_key) and p.id <> a.id;
update json_table(?, '$[*]' columns (
    link bigint path '$[0]' error on error, s_key longtext path '$[1]' error on error,
    id bigint path '$[2]' error on error, cycle bigint path '$[3]' error on error)) as a
straight_join twinrow_pair as p force index (twinrow_pair_s_key) on p.link = a.link and p.s_key = unhex(a.s_key) and p.id <> a.id
set p.s_former = unhex(a.s_key), p.s_key = null, p.ver = p.ver + 1, p.cycle = a.cycle
