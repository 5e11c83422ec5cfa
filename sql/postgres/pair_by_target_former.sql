-- Live pairs that lost this side under this key (rule 8), also where it was made again there under another one.
select id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases from twinrow.pair where link = $1::int8 and t_former = any((select $2::bytea[])::bytea[]) and status <> 2
