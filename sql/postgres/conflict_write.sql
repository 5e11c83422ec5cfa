-- The id is a hash of what was decided: a repeated decision finds its own record (rule 11).
insert into twinrow.conflict (id, integration, link, pair, s_key, t_key, loser, s_row, t_row, kept, at)
select * from unnest($1::bytea[], $2::text[], $3::int8[], $4::int8[], $5::bytea[], $6::bytea[], $7::int8[], $8::text[], $9::text[], $10::int8[], $11::int8[]) as v(id, integration, link, pair, s_key, t_key, loser, s_row, t_row, kept, at)
on conflict (id) do nothing
