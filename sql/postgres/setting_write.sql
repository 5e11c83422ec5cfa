insert into twinrow.setting (integration, name, value) select * from unnest($1::text[], $2::text[], $3::text[]) as v(integration, name, value)
on conflict (integration, name) do update set value = excluded.value
