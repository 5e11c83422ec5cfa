-- Live pairs that lost this side under this key (rule 8), also where it was made again there under another one.
select p.id, p.link, p.s_key, p.t_key, p.s_former, p.t_former, p.s_pos, p.t_pos, p.status, p.ver, p.cycle, p.diverged, p.bases
from json_table(?, '$[*]' columns (link bigint path '$[0]' error on error, t_former longtext path '$[1]' error on error)) as a
-- (Told which index: what else begins with the link would be all of its pairs, for each key.)
straight_join twinrow_pair as p force index (twinrow_pair_t_former) on p.link = a.link and p.t_former = unhex(a.t_former) and p.status <> 2
