-- The columns of these tables by their numbers, which are never given out again, and what defines each: its type, the labels of an enum
-- (of an array of one, too), the expression of a computed column.
select w.place::int8, a.attname::text, a.attrelid::int8, a.attnum::int8,
  pg_catalog.concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod),
    (select pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ',' order by e.enumsortorder)
     from pg_catalog.pg_enum e where e.enumtypid in (t.oid, t.typelem, t.typbasetype)),
    case when a.attgenerated <> '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end)
from pg_catalog.unnest($1::text[]) with ordinality w (name, place)
join pg_catalog.pg_attribute a on a.attrelid = pg_catalog.to_regclass(w.name) and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
order by w.place, a.attnum
