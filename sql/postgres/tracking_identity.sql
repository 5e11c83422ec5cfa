-- Key columns of these tables that take a key of ours when a row is made, and no other one later.
select pg_catalog.format('%I.%I.%I', n.nspname, c.relname, a.attname)
from unnest($1::text[], $2::text[], $3::text[]) as v(schema, name, "column")
join pg_catalog.pg_namespace n on n.nspname = v.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = v.name
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = v."column" and a.attidentity = 'a'
