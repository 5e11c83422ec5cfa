select concat(table_name, ' ', column_name) from information_schema.columns
where table_schema = ? and table_name like 'twinrow\_%'
