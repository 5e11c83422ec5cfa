-- Live pairs that lost this side under this key (rule 8), also where it was made again there under another one.
select id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases from twinrow_pair where link = ?1 and t_former = ?2 and status <> 2
