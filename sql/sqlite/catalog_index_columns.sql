-- cid -1: the rowid, -2: an expression.
select cid, coll from pragma_index_xinfo(?1, 'main') where key = 1 order by seqno
