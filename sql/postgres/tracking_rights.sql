-- What of the wanted rights this user does not have, each with the statement that grants it: on a table ($3: `own`, or SELECT and
-- the like), to read all of its rows, to draw the default of its column $4 (`draw`), to make our schema, or to use it.
with v as (
  select n.oid as schema_oid, c.oid, c.relowner, c.relacl, v.schema, v.name, v.wanted, v."column"
  from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as v(schema, name, wanted, "column")
  join pg_catalog.pg_namespace n on n.nspname = v.schema
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = v.name),
ours as (select oid from pg_catalog.pg_namespace where nspname = 'twinrow')
select pg_catalog.format('ownership on %I.%I: grant %I to %I', schema, name, pg_catalog.pg_get_userbyid(relowner), current_user)
from v where wanted = 'own' and not pg_catalog.pg_has_role(relowner, 'MEMBER')
union all
select pg_catalog.format('%s on %I.%I: grant %s on %2$I.%3$I to %5$I', wanted, schema, name, lower(wanted), current_user)
from v where wanted in ('SELECT', 'INSERT', 'UPDATE', 'DELETE') and case wanted
  when 'DELETE' then not pg_catalog.has_table_privilege(oid, 'DELETE')
  else not pg_catalog.has_any_column_privilege(oid, wanted) end
union all
select distinct pg_catalog.format('USAGE on schema %I: grant usage on schema %1$I to %2$I', schema, current_user)
from v where not pg_catalog.has_schema_privilege(schema_oid, 'USAGE')
union all
-- A policy hides rows, and a hidden row must not look deleted (A63): such a table is not read at all.
select pg_catalog.format('BYPASSRLS, as row-level security is on for %I.%I: alter role %I bypassrls', schema, name, current_user)
from v where wanted = 'SELECT' and pg_catalog.row_security_active(oid)
union all
select distinct pg_catalog.format('USAGE on sequence %I.%I: grant usage on sequence %1$I.%2$I to %3$I', n.nspname, s.relname, current_user)
from v join pg_catalog.pg_attribute a on a.attrelid = v.oid and a.attname = v."column" and a.attidentity = ''
join pg_catalog.pg_attrdef f on f.adrelid = v.oid and f.adnum = a.attnum
join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.objid = f.oid
  and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
join pg_catalog.pg_class s on s.oid = d.refobjid and s.relkind = 'S'
join pg_catalog.pg_namespace n on n.oid = s.relnamespace
where v.wanted = 'draw' and case s.relkind when 'S' then not pg_catalog.has_sequence_privilege(s.oid, 'USAGE, UPDATE') end
union all
select pg_catalog.format('CREATE on database %I: grant create on database %1$I to %2$I', pg_catalog.current_database(), current_user)
where 'own' = any($3::text[]) and not exists (select from ours)
  and not pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
union all
select pg_catalog.format('USAGE on schema twinrow: grant usage on schema twinrow to %I', current_user)
from ours where not pg_catalog.has_schema_privilege(oid, 'USAGE')
union all
select pg_catalog.format('%s on twinrow.%I: grant %s on twinrow.%2$I to %4$I', string_agg(r.wanted, ', ' order by r.n), c.relname,
  string_agg(lower(r.wanted), ', ' order by r.n), current_user)
from ours join pg_catalog.pg_class c on c.relnamespace = ours.oid and c.relkind = 'r'
cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) with ordinality r(wanted, n)
where not pg_catalog.has_table_privilege(c.oid, r.wanted)
group by c.relname
