-- Unique keys that hold for every row and at once: a partial, deferrable or computed one identifies nothing.
select i.indrelid::int8, i.indisprimary, (select array_agg(k::int8 order by o) from unnest(i.indkey) with ordinality as u(k, o) where o <= i.indnkeyatts)
from pg_catalog.pg_index i
where i.indrelid = any($1::int8[]::pg_catalog.oid[]) and i.indisunique and i.indisvalid and i.indimmediate
  and i.indpred is null and i.indexprs is null
order by i.indrelid, not i.indisprimary, i.indexrelid
