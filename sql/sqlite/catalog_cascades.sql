-- The foreign keys by which deleting a row of table ?1 deletes rows that refer to it. "to" is NULL where the primary key is meant.
select c.name, k.id, k."from", k."to"
from pragma_table_list as c join pragma_foreign_key_list(c.name, 'main') as k
where c.schema = 'main' and c.type = 'table' and k."table" = ?1 collate nocase and k.on_delete = 'CASCADE'
order by c.name, k.id, k.seq
