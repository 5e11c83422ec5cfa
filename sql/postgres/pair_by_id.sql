select id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases from twinrow.pair where id = any((select $1::int8[])::int8[])
