-- The counter's row stays locked until the transaction ends: two integrations that start at once get two numbers.
insert into twinrow_setting (integration, name, value)
select '', 'link', coalesce(max(number), 0) + 1 from twinrow_link
on duplicate key update value = cast(twinrow_setting.value as signed) + 1;
select cast(value as signed) from twinrow_setting where integration = '' and name = 'link'
