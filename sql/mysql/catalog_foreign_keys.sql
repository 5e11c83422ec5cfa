select k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema, k.referenced_table_name,
k.referenced_column_name, r.delete_rule, r.update_rule from information_schema.key_column_usage as k
join information_schema.referential_constraints as r on r.constraint_schema = k.constraint_schema
and r.constraint_name = k.constraint_name and r.table_name = k.table_name
where k.table_schema = ? and k.referenced_table_name is not null
order by k.table_name, k.constraint_name, k.ordinal_position
