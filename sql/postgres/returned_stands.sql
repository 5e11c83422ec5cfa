-- Whether the rows that a statement on table $1 has just returned stand as they are until its transaction ends: after it come
-- Twinrow's own triggers, and those of constraints that only look. Asked after the statement, whose lock keeps others from
-- adding a trigger or a foreign key.
select c.relkind = 'r' and not c.relispartition and not c.relhassubclass and not c.relhasrules and not exists (
  select from pg_catalog.pg_trigger g join pg_catalog.pg_proc p on p.oid = g.tgfoid where g.tgrelid = c.oid
    and case when g.tgisinternal then p.proname not in ('RI_FKey_check_ins', 'RI_FKey_check_upd', 'RI_FKey_noaction_del',
        'RI_FKey_noaction_upd', 'RI_FKey_restrict_del', 'RI_FKey_restrict_upd', 'unique_key_recheck')
      else p.pronamespace is distinct from pg_catalog.to_regnamespace('twinrow') end)
from pg_catalog.pg_class c where c.oid = $1::text::pg_catalog.regclass
