select pg_catalog.format_type(a.atttypid, null) from pg_catalog.pg_attribute a
where a.attrelid = pg_catalog.to_regclass('twinrow.' || $1::text) and a.attname like 'o%' and a.attname <> 'op' and a.attname <> 'origin'
  and a.attnum > 0 and not a.attisdropped order by a.attnum
