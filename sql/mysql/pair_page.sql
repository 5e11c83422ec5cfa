select id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases from twinrow_pair where link = ?1 and id > ?2 and status <> 2 order by id limit ?3
