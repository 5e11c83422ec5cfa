-- The moment of a window, and which logs there are now. A log that was dropped and made again has
-- another oid, one that was truncated another epoch (A11). Last, whether the table is an ordinary heap without children, whose
-- rows have versions.
select pg_catalog.pg_current_snapshot()::text, c.name, c.epoch, coalesce(pg_catalog.to_regclass('twinrow.' || c.log) = c.log_oid, false),
  exists (select from pg_catalog.pg_class t join pg_catalog.pg_am m on m.oid = t.relam
    where t.oid = c.table_oid and t.relkind = 'r' and m.amname = 'heap' and not t.relhassubclass)
from (values (1)) one (row) left join twinrow.collection c on c.name = any($1::text[])
