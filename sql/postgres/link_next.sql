-- The counter's row stays locked until the transaction ends: two integrations that start at once get two numbers.
insert into twinrow.setting (integration, name, value)
values ('', 'link', ((select coalesce(max(number), 0) from twinrow.link) + 1)::text)
on conflict (integration, name) do update set value = (twinrow.setting.value::int8 + 1)::text
returning value::int8
