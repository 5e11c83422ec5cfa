select 'counter', cast(table_schema as char), cast(table_name as char), cast(auto_increment as char), null, null, null, null
from information_schema.tables where table_schema = ? and table_name = ?
union all
select 'column', cast(table_schema as char), cast(table_name as char), cast(column_name as char), cast(column_type as char), null, null, null
from information_schema.columns where table_schema = ? and table_name = ?
