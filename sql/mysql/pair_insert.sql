insert into twinrow_pair (id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases)
select a.id, a.link, unhex(a.s_key), unhex(a.t_key), unhex(a.s_former), unhex(a.t_former), a.s_pos, a.t_pos, a.status, a.ver, a.cycle, a.diverged, unhex(a.bases)
from json_table(?, '$[*]' columns (
    id bigint path '$[0]' error on error, link bigint path '$[1]' error on error,
    s_key longtext path '$[2]' error on error, t_key longtext path '$[3]' error on error,
    s_former longtext path '$[4]' error on error, t_former longtext path '$[5]' error on error,
    s_pos bigint path '$[6]' error on error, t_pos bigint path '$[7]' error on error,
    status bigint path '$[8]' error on error, ver bigint path '$[9]' error on error,
    cycle bigint path '$[10]' error on error, diverged bigint path '$[11]' error on error,
    bases longtext path '$[12]' error on error)) as a
