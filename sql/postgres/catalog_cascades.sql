-- The foreign keys by which deleting a row of table $1 deletes rows that refer to it; of one on a partitioned table, only the whole.
-- Per key: the table, whether all its rows can be read, its columns, the columns they refer to, and how those compare.
with recursive family as (
  select $1::text::pg_catalog.regclass::pg_catalog.oid as oid
  union
  select i.inhrelid from pg_catalog.pg_inherits i join family on i.inhparent = family.oid
)
select n.nspname::text, c.relname::text,
  pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select') and not pg_catalog.row_security_active(c.oid),
  array(select a.attname::text from pg_catalog.unnest(f.conkey) with ordinality as k(n, o) join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.n order by k.o),
  array(select a.attname::text from pg_catalog.unnest(f.confkey) with ordinality as k(n, o) join pg_catalog.pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.n order by k.o),
  array(select pg_catalog.format('operator(%I.%s)', s.nspname, p.oprname) from pg_catalog.unnest(f.conpfeqop) with ordinality as k(n, o)
    join pg_catalog.pg_operator p on p.oid = k.n join pg_catalog.pg_namespace s on s.oid = p.oprnamespace order by k.o)
from pg_catalog.pg_constraint f
join pg_catalog.pg_class c on c.oid = f.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where f.contype = 'f' and f.confdeltype = 'c' and f.confrelid in (select oid from family)
  and not exists (select from pg_catalog.pg_constraint whole where whole.oid = f.conparentid and whole.confrelid in (select oid from family))
order by f.conrelid, f.conname
