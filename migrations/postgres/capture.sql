-- No exception handler: each costs a subtransaction (A43). Keys are copied in their own types: text
-- would follow the application's settings (A58). A full join, because a plan once made for one row is
-- used for a million: a nested loop would never end. Key columns are named without their table: one
-- that was renamed or dropped is then found in `gone`, where it is NULL, and the application's write
-- does not fail; what is logged is a mark, for a compare (A30).
create or replace function twinrow.capture_{mark}() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $twinrow$
#variable_conflict use_column
begin
  if tg_op = 'TRUNCATE' then
    insert into twinrow.{log} (op) values ('T');
  elsif tg_level = 'ROW' then
    if tg_op = 'INSERT' then
      insert into twinrow.{log} (op, {o}) select {I}, {o} from {new} k;
    elsif tg_op = 'DELETE' then
      insert into twinrow.{log} (op, {o}) select {D}, {o} from {old} k;
    else
      insert into twinrow.{log} (op, {o}, {n})
      select case when {b_lost} then 'T' when {same} then 'U' else 'R' end, {left}, {moved} from {old} a cross join {new} b;
    end if;
  elsif tg_op = 'INSERT' then
    insert into twinrow.{log} (op, {o}) select {I}, {o} from {new_rows} k;
  elsif tg_op = 'DELETE' then
    insert into twinrow.{log} (op, {o}) select {D}, {o} from {old_rows} k;
  elsif exists (select from {old_rows} a full join {new_rows} b on {same} where a.o1 is null or b.o1 is null) then
    if exists (select from {new_rows} b where {b_lost}) then
      insert into twinrow.{log} (op) values ('T');
      return null;
    end if;
    -- Keys have changed. An update adds a row to both tables at once, so what has the same place in both is one
    -- record; and in the order of the log no key is taken before it is free (A26).
    insert into twinrow.{log} (op, {o}, {n})
    select case when {a_lost} or {b_lost} then 'T' when {same} then 'U' else 'R' end, {left}, {moved}
    from {old_places} a full join {new_places} b on a.place = b.place order by coalesce(a.place, b.place);
  else
    insert into twinrow.{log} (op, {o}) select {U}, {o} from {new_rows} k;
  end if;
  return null;
end $twinrow$;
revoke all on function twinrow.capture_{mark}() from public;
