insert into twinrow_receipt (integration, n, id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases, detached)
select a.integration, a.n, a.id, a.link, unhex(a.s_key), unhex(a.t_key), unhex(a.s_former), unhex(a.t_former), a.s_pos, a.t_pos, a.status, a.ver, a.cycle, a.diverged, unhex(a.bases), a.detached
from json_table(?, '$[*]' columns (
    integration longtext path '$[0]' error on error, n bigint path '$[1]' error on error,
    id bigint path '$[2]' error on error, link bigint path '$[3]' error on error,
    s_key longtext path '$[4]' error on error, t_key longtext path '$[5]' error on error,
    s_former longtext path '$[6]' error on error, t_former longtext path '$[7]' error on error,
    s_pos bigint path '$[8]' error on error, t_pos bigint path '$[9]' error on error,
    status bigint path '$[10]' error on error, ver bigint path '$[11]' error on error,
    cycle bigint path '$[12]' error on error, diverged bigint path '$[13]' error on error,
    bases longtext path '$[14]' error on error, detached bigint path '$[15]' error on error)) as a
