-- What of ours is in this database, and what this user may do.
select pg_catalog.to_regnamespace('twinrow') is not null,
  array(select c.relname::text from pg_catalog.pg_class c where c.relnamespace = pg_catalog.to_regnamespace('twinrow') and c.relkind = 'r'),
  2 = (select count(distinct p.proname) from pg_catalog.pg_proc p where p.pronamespace = pg_catalog.to_regnamespace('twinrow') and p.proname in ('log_emptied', 'key_part')),
  u.rolsuper, u.rolcreaterole, r.oid is not null, coalesce(pg_catalog.pg_has_role(u.oid, r.oid, 'member'), false), u.rolname::text,
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create')
from pg_catalog.pg_roles u left join pg_catalog.pg_roles r on r.rolname = 'twinrow_capture' where u.rolname = current_user
