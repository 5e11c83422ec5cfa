-- A number that grows: by $3.
insert into twinrow.setting (integration, name, value) values ($1::text, $2::text, $3::int8::text)
on conflict (integration, name) do update set value = (twinrow.setting.value::int8 + $3::int8)::text
