select table_name from information_schema.tables where table_schema = ? and table_name like 'twinrow\_%'
