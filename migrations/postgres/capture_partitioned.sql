-- As the other capture function, row by row, but for a partitioned table: an update that takes a row to another partition fires a
-- delete there and an insert here, one right after the other (A20). Before it, the row's place was noted; whoever is deleted at
-- that place, and inserted next on the same level of triggers, is one record with a new key. The entry of the delete is taken back.
-- A transaction in which no such update was begun asks nothing.
create or replace function twinrow.capture_{mark}() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $twinrow$
#variable_conflict use_column
declare
  moving constant boolean := coalesce(current_setting('twinrow.moving', true), '') = 'on';
  entry tid;
begin
  if tg_when = 'BEFORE' then
    perform set_config('twinrow.moving', 'on', true);
    insert into twinrow.move (log, part, place) values ('{log}', tg_relid, old.ctid);
    return new;
  elsif tg_op = 'TRUNCATE' then
    insert into twinrow.{log} (op) values ('T');
  elsif tg_op = 'UPDATE' then
    if moving then
      -- It has stayed in its partition.
      delete from twinrow.move m where m.xid = pg_current_xact_id() and m.log = '{log}' and m.part = tg_relid and m.place = old.ctid;
    end if;
    insert into twinrow.{log} (op, {o}, {n})
    select case when {b_lost} then 'T' when {same} then 'U' else 'R' end, {left}, {moved} from {old} a cross join {new} b;
  elsif tg_op = 'DELETE' then
    insert into twinrow.{log} (op, {o}) select {D}, {o} from {old} k returning ctid into entry;
    if moving then
      delete from twinrow.move m where m.xid = pg_current_xact_id() and m.log = '{log}' and m.part = tg_relid and m.place = old.ctid;
      perform set_config('twinrow.moved_' || pg_trigger_depth(), case when found then entry::text else '' end, true);
    end if;
  else
    if moving then
      entry := nullif(current_setting('twinrow.moved_' || pg_trigger_depth(), true), '')::tid;
    end if;
    if entry is null then
      insert into twinrow.{log} (op, {o}) select {I}, {o} from {new} k;
    else
      perform set_config('twinrow.moved_' || pg_trigger_depth(), '', true);
      with a as (delete from twinrow.{log} l where l.ctid = entry returning {l_o})
      insert into twinrow.{log} (op, {o}, {n})
      select case when {b_lost} then 'T' when {same} then 'U' else 'R' end, {left}, {moved} from a cross join {new} b;
    end if;
  end if;
  return null;
end $twinrow$;
revoke all on function twinrow.capture_{mark}() from public;
