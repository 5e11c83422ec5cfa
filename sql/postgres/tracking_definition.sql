-- What our objects of each tracked table look like now: its triggers, the function, the table's shape
-- (partitions, key), the log's columns, what the function relies on. One query, however many tables.
select c.name, coalesce(now.oid, 0) as table_now, array[
  coalesce((select string_agg(concat_ws(' ', g.tgname, g.tgenabled, g.tgrelid::text, g.tgtype::text, g.tgoldtable, g.tgnewtable, g.tgattr::text, g.tgqual is null), e'\n' order by g.tgrelid, g.tgname)
    from pg_catalog.pg_trigger g join pg_catalog.pg_proc p on p.oid = g.tgfoid
    where g.tgrelid = any(tree.oids) and p.pronamespace = s.oid and p.proname = 'capture_' || substr(c.log, 5)), ''),
  coalesce((select concat_ws(' ', md5(p.prosrc), p.prosecdef, array_to_string(p.proconfig, ','), p.proowner::text)
    from pg_catalog.pg_proc p where p.pronamespace = s.oid and p.proname = 'capture_' || substr(c.log, 5)), ''),
  concat_ws(' ', now.relkind, now.relispartition, now.parents, array_to_string(tree.oids, ','),
    (select string_agg(concat_ws(' ', a.attname, a.attnotnull, pg_catalog.format_type(a.atttypid, null)), ',' order by a.attname)
      from pg_catalog.pg_attribute a where a.attrelid = now.oid and a.attname = any(c.key) and not a.attisdropped)),
  coalesce((select string_agg(concat_ws(' ', a.attname, pg_catalog.format_type(a.atttypid, null)), ',' order by a.attnum)
    || (select string_agg(concat_ws(' ', g.tgname, g.tgenabled), ',') from pg_catalog.pg_trigger g where g.tgrelid = c.log_oid)
      from pg_catalog.pg_attribute a where a.attrelid = c.log_oid and a.attnum > 0 and not a.attisdropped), ''),
  concat_ws(' ', (select string_agg(a.attnum::text, ',' order by a.attname) from pg_catalog.pg_attribute a
      where a.attrelid = now.oid and a.attname = any(c.key) and not a.attisdropped),
    (select md5(string_agg(concat_ws(' ', p.proargtypes::text, p.prosrc), e'\n' order by p.proargtypes::text))
      from pg_catalog.pg_proc p where p.pronamespace = s.oid and p.proname = 'key_part'))
] as definition
from twinrow.collection c
join pg_catalog.pg_namespace s on s.nspname = 'twinrow'
left join lateral (
  select o.oid, o.relkind::text, o.relispartition::text, (select count(*) from pg_catalog.pg_inherits i where i.inhrelid = o.oid) as parents
  from pg_catalog.pg_class o where o.oid = pg_catalog.to_regclass(c.name)) now on true
left join lateral (
  with recursive tree (oid) as (
    select now.oid union select i.inhrelid from pg_catalog.pg_inherits i join tree t on i.inhparent = t.oid)
  select array_agg(tree.oid order by tree.oid) as oids from tree where tree.oid is not null) tree on true
