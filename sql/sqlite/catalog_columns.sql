-- hidden 1: a virtual table's parameter; 2 and 3: computed.
select name, type, "notnull", dflt_value is not null, pk, hidden from pragma_table_xinfo(?1, 'main') where hidden <> 1 order by cid
