-- What an uninstallation drops, and what this user does not own of it: tables with triggers of ours ($1: of these marks, or
-- NULL: all), and the schema with all in it.
select pg_catalog.format('%s belongs to %I: grant %I to %I', o.what, r.rolname, r.rolname, current_user)
from (
  select distinct pg_catalog.format('table %s', g.tgrelid::pg_catalog.regclass) as what, c.relowner as owner
  from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid
  left join pg_catalog.pg_proc p on p.oid = g.tgfoid and p.pronamespace = pg_catalog.to_regnamespace('twinrow')
  where not g.tgisinternal and g.tgparentid = 0
    and (g.tgname ~ '^zz_twinrow_' or p.proname ~ '^capture_')
    and ($1::text[] is null or exists (
      select from unnest($1::text[]) as m(mark)
      where g.tgname ~ ('^zz_twinrow_' || m.mark || '(_|$)') or p.proname = 'capture_' || m.mark))
  union all
  select 'schema twinrow', n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'twinrow'
) o join pg_catalog.pg_roles r on r.oid = o.owner
where not pg_catalog.pg_has_role(o.owner, 'USAGE')
order by 1
