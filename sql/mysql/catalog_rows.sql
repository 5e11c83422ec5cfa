-- About how many rows: counting a large table takes long.
select table_rows from information_schema.tables where table_schema = ? and table_name = ?
