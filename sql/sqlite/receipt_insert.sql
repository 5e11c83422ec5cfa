insert into twinrow_receipt (integration, n, id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases, detached)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
