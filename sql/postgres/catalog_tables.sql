-- The tables of these names, or all that could be synced: no parts of others, no system's, none of Twinrow's.
-- Members: what must have triggers besides the table itself (partitions, inheritance children). Last, the columns by which its rows
-- are parted, its own and those of its partitions that are parted again.
select c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text, c.relispartition,
  exists (select from pg_catalog.pg_inherits i where i.inhrelid = c.oid),
  exists (select from pg_catalog.pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal and g.tgtype & 7 = 7 and g.tgenabled in ('O', 'A')),
  array(with recursive tree (oid) as (
      select c.oid union select i.inhrelid from pg_catalog.pg_inherits i join tree t on i.inhparent = t.oid)
    select m.oid::pg_catalog.regclass::text from tree join pg_catalog.pg_class m using (oid)
    where m.oid <> c.oid and m.relkind in ('r', 'p') order by m.oid),
  array(with recursive tree (oid) as (
      select c.oid union select i.inhrelid from pg_catalog.pg_inherits i join tree t on i.inhparent = t.oid)
    select distinct a.attname::text from tree join pg_catalog.pg_partitioned_table p on p.partrelid = tree.oid
    join pg_catalog.pg_attribute a on a.attrelid = p.partrelid and a.attnum = any(p.partattrs::int2[]) order by 1)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where case when $1::text[] is null
    then c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'twinrow')
    else c.relkind in ('r', 'p', 'v', 'm', 'f') and (n.nspname, c.relname) in (select * from unnest($1::text[], $2::text[])) end
order by n.nspname, c.relname
