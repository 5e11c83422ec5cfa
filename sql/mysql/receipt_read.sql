select n, id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases, detached from twinrow_receipt
where integration = ?1 and n > ?2 order by n limit ?3
