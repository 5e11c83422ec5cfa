-- The columns of these tables; a domain counts as the type beneath it.
select a.attrelid::int8, a.attnum::int8, a.attname::text, b.typname::text,
  pg_catalog.format_type(b.oid, case when t.typtype = 'd' then t.typtypmod else a.atttypmod end),
  case when t.typtype = 'd' then t.typtypmod else a.atttypmod end,
  case when b.typtype = 'e' then array(select e.enumlabel::text from pg_catalog.pg_enum e where e.enumtypid = b.oid order by e.enumsortorder) end,
  not (a.attnotnull or t.typnotnull), a.attgenerated <> '', a.atthasdef or a.attidentity <> '' or t.typdefault is not null,
  a.attidentity::text, case when a.attgenerated = '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end,
  s.oid::pg_catalog.regclass::text, coalesce(pg_catalog.has_sequence_privilege(s.oid, 'usage'), false)
from pg_catalog.pg_attribute a
join pg_catalog.pg_type t on t.oid = a.atttypid
join lateral (
  with recursive base (oid, typtype, typname, up) as (
    select t.oid, t.typtype, t.typname, t.typbasetype
    union all select u.oid, u.typtype, u.typname, u.typbasetype from base join pg_catalog.pg_type u on u.oid = base.up where base.typtype = 'd')
  select oid, typtype, typname from base where typtype <> 'd') b on true
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join lateral (
  select p.objid as oid from pg_catalog.pg_depend p
  where p.refobjid = a.attrelid and p.refobjsubid = a.attnum and p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and p.deptype in ('a', 'i')
    and exists (select from pg_catalog.pg_class q where q.oid = p.objid and q.relkind = 'S')
  order by p.deptype desc limit 1) s on true
where a.attrelid = any($1::int8[]::pg_catalog.oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
