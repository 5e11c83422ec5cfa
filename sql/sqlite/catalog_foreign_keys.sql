-- "to" is NULL where the parent's primary key is meant.
select id, "table", "from", "to", on_update, on_delete from pragma_foreign_key_list(?1, 'main') order by id desc, seq
