-- As pair_insert, for pairs that may be known: those that are stay as they are (rule 10).
insert into twinrow_pair (id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
on conflict do nothing
