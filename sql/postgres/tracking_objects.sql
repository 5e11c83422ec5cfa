-- Triggers of ours, wherever they are: known by their name or their function.
select g.tgrelid::pg_catalog.regclass::text, g.tgname::text, g.tgparentid = 0, n.nspname::text, c.relname::text
from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_proc p on p.oid = g.tgfoid
where not g.tgisinternal and n.nspname <> 'twinrow'
  and (g.tgname ~ ('^zz_twinrow_' || $1::text) or (p.proname ~ ('^capture_' || $1::text) and p.pronamespace = pg_catalog.to_regnamespace('twinrow')))
order by g.tgrelid, g.tgname
