select table_name, table_type, engine, create_options from information_schema.tables
where table_schema = ? and table_type <> 'SEQUENCE' order by table_name
