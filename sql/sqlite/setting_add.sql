-- A number that grows: by ?3.
insert into twinrow_setting (integration, name, value) values (?1, ?2, cast(?3 as text))
on conflict (integration, name) do update set value = cast(cast(value as integer) + ?3 as text)
