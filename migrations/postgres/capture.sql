-- No exception handler: each costs a subtransaction (A43). Keys are copied in their own types: text
-- would follow the application's settings (A58). A full join, because a plan once made for one row is
-- used for a million: a nested loop would never end.
create or replace function twinrow.capture_{mark}() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $twinrow$
#variable_conflict use_column
begin
  if tg_op = 'TRUNCATE' then
    insert into twinrow.{log} (op) values ('T');
  elsif tg_level = 'ROW' then
    if tg_op = 'INSERT' then
      insert into twinrow.{log} (op, {o}) values ('I', {new});
    elsif tg_op = 'DELETE' then
      insert into twinrow.{log} (op, {o}) values ('D', {old});
    elsif {same} then
      insert into twinrow.{log} (op, {o}) values ('U', {new});
    else
      insert into twinrow.{log} (op, {o}, {n}) values ('R', {old}, {new});
    end if;
  elsif tg_op = 'INSERT' then
    insert into twinrow.{log} (op, {o}) select 'I', {row} from new_rows r;
  elsif tg_op = 'DELETE' then
    insert into twinrow.{log} (op, {o}) select 'D', {row} from old_rows r;
  elsif exists (
    select from (select {row_o} from old_rows r) o full join (select {row_n} from new_rows r) n on {join}
    where o.o1 is null or n.n1 is null
  ) then
    -- Keys have changed. One that went and one that came are one record (A26); of several nobody can tell.
    with u as materialized (
      select {o}, {n} from (select {row_o} from old_rows r) o full join (select {row_n} from new_rows r) n on {join}
    ), c as materialized (select count(*) = 1 as one from u where u.o1 is null)
    insert into twinrow.{log} (op, {o}, {n})
    select 'U', {u_o}, {null} from u where u.o1 is not null and u.n1 is not null
    union all select 'R', {a_o}, {b_n} from c cross join u a cross join u b where c.one and a.n1 is null and b.o1 is null
    union all select 'D', {u_o}, {null} from u cross join c where not c.one and u.n1 is null
    union all select 'I', {u_n}, {null} from u cross join c where not c.one and u.o1 is null;
  else
    insert into twinrow.{log} (op, {o}) select 'U', {row} from new_rows r;
  end if;
  return null;
end $twinrow$;
revoke all on function twinrow.capture_{mark}() from public;
