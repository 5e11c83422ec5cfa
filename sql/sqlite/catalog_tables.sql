-- Parts of virtual tables are theirs alone.
select name, type, wr from pragma_table_list
where schema = 'main' and type <> 'shadow' and name not like 'sqlite\_%' escape '\' and name not like 'twinrow\_%' escape '\'
order by name
