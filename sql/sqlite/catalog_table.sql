select name, type, wr from pragma_table_list(?1) where schema = 'main'
