-- What waits for a person is shown as it was last seen.
insert into twinrow_conflict (id, integration, link, pair, s_key, t_key, loser, s_row, t_row, kept, at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
on conflict (id) do update set s_key = excluded.s_key, t_key = excluded.t_key, pair = excluded.pair, s_row = excluded.s_row, t_row = excluded.t_row, at = excluded.at
