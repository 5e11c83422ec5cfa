-- Valid only for the version the decision was made on (rule 3).
update twinrow_pair set s_key = ?3, t_key = ?4, s_former = ?5, t_former = ?6, s_pos = ?7, t_pos = ?8, status = ?9, ver = ?10, cycle = ?11, diverged = ?12, bases = ?13
where id = ?1 and ver = ?10 - 1
