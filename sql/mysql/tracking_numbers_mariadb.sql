select 'number', a.s, a.n, cast(i.table_id as char), null, null, null, null
from json_table(?, '$[*]' columns (s longtext path '$[0]' error on error, n longtext path '$[1]' error on error)) as a
join information_schema.innodb_sys_tables as i on i.name = concat(a.s, '/', a.n)
