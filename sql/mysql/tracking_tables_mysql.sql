select 'counter', cast(t.table_schema as char), cast(t.table_name as char), cast(t.auto_increment as char), null, null, null, null
from json_table(?, '$[*]' columns (s longtext path '$[0]' error on error, n longtext path '$[1]' error on error)) as a
straight_join information_schema.tables as t on t.table_schema = a.s and t.table_name = a.n
union all
select 'column', cast(c.table_schema as char), cast(c.table_name as char), cast(c.column_name as char), cast(c.column_type as char), null, null, null
from json_table(?, '$[*]' columns (s longtext path '$[0]' error on error, n longtext path '$[1]' error on error)) as a
straight_join information_schema.columns as c on c.table_schema = a.s and c.table_name = a.n
