-- A number that grows: by ?3.
insert into twinrow_setting (integration, name, value)
select * from (select ?1 as integration, ?2 as name, cast(?3 as char) as value) as a
on duplicate key update value = cast(cast(twinrow_setting.value as signed) + ?3 as char)
