select name, "unique", origin, partial from pragma_index_list(?1, 'main') order by seq desc
