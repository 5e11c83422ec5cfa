insert into twinrow_link (integration, name, number, fields) values (?1, ?2, ?3, ?4)
on conflict (integration, name) do update set fields = excluded.fields
