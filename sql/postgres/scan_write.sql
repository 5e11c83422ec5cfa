insert into twinrow.scan (link, part, after, asked) select * from unnest($1::int8[], $2::int8[], $3::bytea[], $4::int8[]) as v(link, part, after, asked)
on conflict (link) do update set part = excluded.part, after = excluded.after, asked = excluded.asked
