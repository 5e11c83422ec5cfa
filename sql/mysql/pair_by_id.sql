select p.id, p.link, p.s_key, p.t_key, p.s_former, p.t_former, p.s_pos, p.t_pos, p.status, p.ver, p.cycle, p.diverged, p.bases
from json_table(?, '$[*]' columns (id bigint path '$[0]' error on error)) as a
straight_join twinrow_pair as p on p.id = a.id
