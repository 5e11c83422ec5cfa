-- The columns of a table by their numbers, which are never given out again.
select a.attname::text, a.attrelid::int8, a.attnum::int8
from pg_catalog.pg_attribute a
where a.attrelid = pg_catalog.to_regclass($1::text) and a.attnum > 0 and not a.attisdropped
order by a.attnum
