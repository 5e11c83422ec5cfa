select f.conrelid::int8, n.nspname::text, c.relname::text,
  array(select a.attname::text from unnest(f.conkey) with ordinality as k(n, o) join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.n order by k.o),
  array(select a.attname::text from unnest(f.confkey) with ordinality as k(n, o) join pg_catalog.pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.n order by k.o),
  f.confdeltype in ('c', 'n', 'd') or f.confupdtype in ('c', 'n', 'd')
from pg_catalog.pg_constraint f
join pg_catalog.pg_class c on c.oid = f.confrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where f.contype = 'f' and f.conrelid = any($1::int8[]::pg_catalog.oid[]) and f.conparentid = 0
order by f.conrelid, f.conname
