with now as ({definition})
select c.name, c.version, c.table_oid::int8, now.table_now::int8, c.key, c.definition, now.definition,
  coalesce(pg_catalog.to_regclass('twinrow.' || c.log) = c.log_oid, false)
from twinrow.collection c join now using (name) where c.name = any($1::text[])
