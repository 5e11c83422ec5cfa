select table_name, index_name, column_name, nullable, sub_part from information_schema.statistics
where table_schema = ? and non_unique = 0 order by table_name, index_name <> 'PRIMARY', index_name, seq_in_index
