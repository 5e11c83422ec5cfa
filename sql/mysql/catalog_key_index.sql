select index_name, group_concat(hex(column_name) order by seq_in_index) from information_schema.statistics
where table_schema = ? and table_name = ? and non_unique = 0
group by index_name order by index_name <> 'PRIMARY', index_name
