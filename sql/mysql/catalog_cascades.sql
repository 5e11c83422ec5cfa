-- Foreign keys that hand a delete on; the server shows only those of tables this login has some right on.
select k.table_schema, k.table_name, k.constraint_name, k.column_name, k.referenced_column_name
from information_schema.key_column_usage as k
join information_schema.referential_constraints as r on r.constraint_schema = k.constraint_schema
and r.constraint_name = k.constraint_name and r.table_name = k.table_name
where k.referenced_table_schema = ? and k.referenced_table_name = ? and r.delete_rule = 'CASCADE'
order by k.table_schema, k.table_name, k.constraint_name, k.ordinal_position
