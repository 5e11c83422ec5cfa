-- What waits for a person is shown as it was last seen.
insert into twinrow.conflict (id, integration, link, pair, s_key, t_key, loser, s_row, t_row, kept, at)
select * from unnest($1::bytea[], $2::text[], $3::int8[], $4::int8[], $5::bytea[], $6::bytea[], $7::int8[], $8::text[], $9::text[], $10::int8[], $11::int8[]) as v(id, integration, link, pair, s_key, t_key, loser, s_row, t_row, kept, at)
on conflict (id) do update set s_key = excluded.s_key, t_key = excluded.t_key, pair = excluded.pair, s_row = excluded.s_row, t_row = excluded.t_row, at = excluded.at
