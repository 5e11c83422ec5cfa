-- What of the wanted rights this user does not have: on a table ($3: `own`, or SELECT and the like), or to make our schema.
select pg_catalog.format('%s on %I.%I', case v.wanted when 'own' then 'ownership' else v.wanted end, v.schema, v.name)
from unnest($1::text[], $2::text[], $3::text[]) as v(schema, name, wanted)
join pg_catalog.pg_namespace n on n.nspname = v.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = v.name
where case v.wanted
  when 'own' then not pg_catalog.pg_has_role(c.relowner, 'MEMBER')
  when 'DELETE' then not pg_catalog.has_table_privilege(c.oid, 'DELETE')
  else not pg_catalog.has_schema_privilege(n.oid, 'USAGE') or not pg_catalog.has_any_column_privilege(c.oid, v.wanted) end
union all
select pg_catalog.format('CREATE on database %I', pg_catalog.current_database())
where 'own' = any($3::text[]) and pg_catalog.to_regnamespace('twinrow') is null
  and not pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
