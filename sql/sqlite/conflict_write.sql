-- The id is a hash of what was decided: a repeated decision finds its own record (rule 11).
insert into twinrow_conflict (id, integration, link, pair, s_key, t_key, loser, s_row, t_row, kept, at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
on conflict (id) do nothing
