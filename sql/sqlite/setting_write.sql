insert into twinrow_setting (integration, name, value) values (?1, ?2, ?3)
on conflict (integration, name) do update set value = excluded.value
