insert into twinrow.link (integration, name, number, fields) values ($1::text, $2::text, $3::int8, $4::text)
on conflict (integration, name) do update set fields = excluded.fields
