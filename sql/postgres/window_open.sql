-- The moment of a window, and which logs there are now. A log that was dropped and made again has
-- another oid, one that was truncated another epoch (A11).
select pg_catalog.pg_current_snapshot()::text, c.name, c.epoch, coalesce(pg_catalog.to_regclass('twinrow.' || c.log) = c.log_oid, false)
from (values (1)) one (row) left join twinrow.collection c on c.name = any($1::text[])
