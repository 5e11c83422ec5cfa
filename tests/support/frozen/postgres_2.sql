-- What version 2 installed for the table `item`, for the test of upgrades (A32). Never changed.
begin;
set local lock_timeout = '1s';
set local search_path = '';
-- The capture functions run as this role, which can't log in: the application's user needs no rights on
-- our tables (A34), and dropping the installer's login breaks nothing (A36). Roles are shared by all
-- databases of the cluster, so another installation may be making it at the same moment.
do $$ begin
  create role twinrow_capture nologin;
exception when duplicate_object or unique_violation then null;
end $$;
-- Twinrow's own schema: nobody else's search_path leads here, and nobody else may look into it.
create schema if not exists twinrow;
revoke all on schema twinrow from public;
comment on schema twinrow is 'Change logs and state of Twinrow. Remove with: twinrow uninstall';
-- What every database of an integration has: whose turn it is to write, and proofs of what was written.

create table if not exists twinrow.fence (
  integration text not null,
  epoch bigint not null,
  n bigint not null,
  instance text not null,
  home_n bigint not null,
  primary key (integration)
) with (fillfactor = 50);

create table if not exists twinrow.receipt (
  integration text not null,
  n bigint not null,
  id bigint not null,
  link bigint not null,
  s_key bytea,
  t_key bytea,
  s_former bytea,
  t_former bytea,
  s_pos bigint not null,
  t_pos bigint not null,
  status bigint not null,
  ver bigint not null,
  cycle bigint not null,
  diverged bigint not null,
  bases bytea not null,
  detached bigint,
  primary key (integration, n)
);

-- A row per tracked table. `n` is counted by whoever creates records, so that two don't at once (rule 13).
-- `epoch` changes with the log, so that a position on another log is noticed (A11); `definition` is what
-- our objects looked like when they were made.
create table if not exists twinrow.collection (
  name text not null,
  n bigint not null,
  table_oid oid not null,
  log text not null,
  log_oid oid not null,
  epoch text not null,
  key text[] not null,
  version bigint not null,
  definition text[] not null,
  primary key (name)
) with (fillfactor = 50);

-- Who reads which log, and how far: entries are removed below the least of them.
create table if not exists twinrow.consumer (
  integration text not null,
  name text not null,
  position text not null,
  n bigint not null,
  primary key (integration, name)
) with (fillfactor = 50);

-- A log that someone else empties is another log.
create or replace function twinrow.log_emptied() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $twinrow$
begin
  update twinrow.collection set epoch = gen_random_uuid()::text where log = tg_table_name;
  return null;
end $twinrow$;
revoke all on function twinrow.log_emptied() from public;
-- Which migrations of each part this database has had; a greater number than a program knows was
-- written by a newer one.
create table if not exists twinrow.version (
  part text not null,
  version bigint not null,
  primary key (part)
);

-- A part of a key as the log holds it, or NULL if the column has another type now: the application's
-- write must not fail on it (A30). One function for each type that fits, and one for all others;
-- they are inlined, and cost nothing.
do $$ declare part record; begin
  for part in select * from (values
    ('boolean', 'boolean'), ('bigint', 'smallint'), ('bigint', 'integer'), ('bigint', 'bigint'), ('numeric', 'numeric'),
    ('double precision', 'real'), ('double precision', 'double precision'), ('bytea', 'bytea'), ('date', 'date'),
    ('time', 'time'), ('timestamp', 'timestamp'), ('timestamptz', 'timestamptz'), ('uuid', 'uuid'),
    ('boolean', 'anyelement'), ('bigint', 'anyelement'), ('numeric', 'anyelement'), ('double precision', 'anyelement'),
    ('bytea', 'anyelement'), ('date', 'anyelement'), ('time', 'anyelement'), ('timestamp', 'anyelement'),
    ('timestamptz', 'anyelement'), ('uuid', 'anyelement')) part (logged, there)
  loop
    execute pg_catalog.format('create or replace function twinrow.key_part(%s, %s) returns %2$s language sql immutable as %L',
      part.there, part.logged, case part.there when 'anyelement' then 'select null::' else 'select $1::' end || part.logged);
  end loop;
end $$;
-- What each integration links with a table of this database, and under the name of no integration the
-- name of the database itself: links form a forest over all integrations (rule 21).
create table if not exists twinrow.edge (
  integration text not null,
  link text not null,
  s_database text not null,
  s_name text not null,
  t_database text not null,
  t_name text not null,
  primary key (integration, link)
);
-- The tables of the database that holds the state.

create table if not exists twinrow.lease (
  integration text not null,
  epoch bigint not null,
  holder text not null,
  until bigint not null,
  primary key (integration)
) with (fillfactor = 50);

create table if not exists twinrow.seen (
  integration text not null,
  endpoint text not null,
  instance text not null,
  n bigint not null,
  primary key (integration, endpoint)
);

create table if not exists twinrow.link (
  integration text not null,
  name text not null,
  number bigint not null,
  fields text not null,
  primary key (number),
  unique (integration, name)
);

create table if not exists twinrow.cursor (
  link bigint not null,
  side bigint not null,
  position text not null,
  primary key (link, side)
) with (fillfactor = 50);

create table if not exists twinrow.pair (
  id bigint not null,
  link bigint not null,
  s_key bytea,
  t_key bytea,
  s_former bytea,
  t_former bytea,
  s_pos bigint not null,
  t_pos bigint not null,
  status bigint not null,
  ver bigint not null,
  cycle bigint not null,
  diverged bigint not null,
  bases bytea not null,
  primary key (id),
  unique (link, s_key),
  unique (link, t_key)
) with (fillfactor = 70);

create table if not exists twinrow.work (
  link bigint not null,
  side bigint not null,
  key bytea not null,
  reason bigint not null,
  cause text not null,
  waits bytea,
  attempts bigint not null,
  next_try bigint not null,
  cycle bigint not null,
  since bigint not null,
  primary key (link, side, key)
);

create table if not exists twinrow.conflict (
  id bytea not null,
  integration text not null,
  link bigint not null,
  pair bigint not null,
  s_key bytea,
  t_key bytea,
  loser bigint not null,
  s_row text,
  t_row text,
  kept bigint not null,
  at bigint not null,
  primary key (id)
);

create table if not exists twinrow.scan (
  link bigint not null,
  part bigint not null,
  after bytea,
  asked bigint not null,
  primary key (link)
);

create table if not exists twinrow.brake (
  link bigint not null,
  side bigint not null,
  kind bigint not null,
  hash bytea not null,
  records bigint not null,
  pairs bigint not null,
  at bigint not null,
  approved bytea,
  primary key (link, side, kind)
);

create table if not exists twinrow.brake_window (
  link bigint not null,
  side bigint not null,
  kind bigint not null,
  hour bigint not null,
  records bigint not null,
  primary key (link, side, kind, hour)
);

create table if not exists twinrow.intent (
  id bigint not null,
  link bigint not null,
  side bigint not null,
  key bytea not null,
  token text not null,
  epoch bigint not null,
  deadline bigint not null,
  primary key (id)
);

create table if not exists twinrow.run (
  integration text not null,
  id bigint not null,
  kind text not null,
  started bigint not null,
  ended bigint,
  counts text not null,
  primary key (integration, id)
);

create table if not exists twinrow.setting (
  integration text not null,
  name text not null,
  value text not null,
  primary key (integration, name)
);

create index if not exists work_due on twinrow.work (link, next_try);
create index if not exists work_waits on twinrow.work (waits) where waits is not null;
create index if not exists pair_s_former on twinrow.pair (link, s_former) where s_former is not null;
create index if not exists pair_t_former on twinrow.pair (link, t_former) where t_former is not null;
create index if not exists conflict_at on twinrow.conflict (integration, at);
-- Each record of a change rewrites its pair: with half a page free, next to the old row, and no index touched (HOT).
alter table twinrow.pair set (fillfactor = 50);
-- What was sent with a create whose answer was lost, as fingerprints, and the end of the record that had its key before.
alter table twinrow.intent add column if not exists pos bigint not null default 0;
alter table twinrow.intent add column if not exists sent bytea;
insert into twinrow.version (part, version) values ('endpoint', 3) on conflict (part) do update set version = excluded.version;
insert into twinrow.version (part, version) values ('state', 3) on conflict (part) do update set version = excluded.version;
grant usage, create on schema twinrow to twinrow_capture;
grant select, update on twinrow.collection to twinrow_capture;
alter function twinrow.log_emptied() owner to twinrow_capture;
do $$ declare part pg_catalog.regprocedure; begin
  for part in select p.oid from pg_catalog.pg_proc p where p.pronamespace = 'twinrow'::pg_catalog.regnamespace and p.proname = 'key_part' loop
    execute pg_catalog.format('alter function %s owner to twinrow_capture', part);
  end loop;
end $$;
grant usage on schema twinrow to "postgres";
grant select, insert, update, delete on all tables in schema twinrow to "postgres";
commit;

begin;
set local lock_timeout = '1s';
set local search_path = '';
drop table if exists twinrow.log_c9203a16c91c;
-- No sequence, or lastval() would change for the application (A39); no constraint that could fail its
-- statement (A42). The top-level transaction id tells what a snapshot saw, the position in the
-- write-ahead log the order (rule 7).
create table twinrow.log_c9203a16c91c (
  xid xid8 not null default pg_catalog.pg_current_xact_id(),
  lsn pg_lsn not null default pg_catalog.pg_current_wal_insert_lsn(),
  op "char" not null,
  origin text default nullif(pg_catalog.current_setting('twinrow.origin', true), ''),
  o1 bigint, n1 bigint
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);
create index log_c9203a16c91c_xid on twinrow.log_c9203a16c91c (xid);
alter table twinrow.log_c9203a16c91c replica identity full;
create trigger zz_twinrow_emptied after truncate on twinrow.log_c9203a16c91c for each statement execute function twinrow.log_emptied();
alter table twinrow.log_c9203a16c91c enable always trigger zz_twinrow_emptied;
-- No exception handler: each costs a subtransaction (A43). Keys are copied in their own types: text
-- would follow the application's settings (A58). A full join, because a plan once made for one row is
-- used for a million: a nested loop would never end. Key columns are named without their table: one
-- that was renamed or dropped is then found in `gone`, where it is NULL, and the application's write
-- does not fail; what is logged is a mark, for a compare (A30).
create or replace function twinrow.capture_c9203a16c91c() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $twinrow$
#variable_conflict use_column
begin
  if tg_op = 'TRUNCATE' then
    insert into twinrow.log_c9203a16c91c (op) values ('T');
  elsif tg_level = 'ROW' then
    if tg_op = 'INSERT' then
      insert into twinrow.log_c9203a16c91c (op, o1) select case when k.o1 is null then 'T' else 'I' end, o1 from (select k.* from (select null::bigint as "id") gone cross join lateral (select twinrow.key_part("id", null::bigint) as o1 from (select new.*) new_row) k) k;
    elsif tg_op = 'DELETE' then
      insert into twinrow.log_c9203a16c91c (op, o1) select case when k.o1 is null then 'T' else 'D' end, o1 from (select k.* from (select null::bigint as "id") gone cross join lateral (select twinrow.key_part("id", null::bigint) as o1 from (select old.*) old_row) k) k;
    else
      insert into twinrow.log_c9203a16c91c (op, o1, n1)
      select case when b.o1 is null then 'T' when a.o1 = b.o1 then 'U' else 'R' end, case when a.o1 = b.o1 then b.o1 else a.o1 end, case when not (a.o1 = b.o1) then b.o1 end from (select k.* from (select null::bigint as "id") gone cross join lateral (select twinrow.key_part("id", null::bigint) as o1 from (select old.*) old_row) k) a cross join (select k.* from (select null::bigint as "id") gone cross join lateral (select twinrow.key_part("id", null::bigint) as o1 from (select new.*) new_row) k) b;
    end if;
  elsif tg_op = 'INSERT' then
    insert into twinrow.log_c9203a16c91c (op, o1) select case when k.o1 is null then 'T' else 'I' end, o1 from (select k.* from (select null::bigint as "id") gone cross join lateral (select twinrow.key_part("id", null::bigint) as o1 from new_rows) k) k;
  elsif tg_op = 'DELETE' then
    insert into twinrow.log_c9203a16c91c (op, o1) select case when k.o1 is null then 'T' else 'D' end, o1 from (select k.* from (select null::bigint as "id") gone cross join lateral (select twinrow.key_part("id", null::bigint) as o1 from old_rows) k) k;
  elsif exists (select from (select k.* from (select null::bigint as "id") gone cross join lateral (select twinrow.key_part("id", null::bigint) as o1 from old_rows) k) a full join (select k.* from (select null::bigint as "id") gone cross join lateral (select twinrow.key_part("id", null::bigint) as o1 from new_rows) k) b on a.o1 = b.o1 where a.o1 is null or b.o1 is null) then
    if exists (select from (select k.* from (select null::bigint as "id") gone cross join lateral (select twinrow.key_part("id", null::bigint) as o1 from new_rows) k) b where b.o1 is null) then
      insert into twinrow.log_c9203a16c91c (op) values ('T');
      return null;
    end if;
    -- Keys have changed. One that went and one that came are one record (A26); of several nobody can tell.
    with u as materialized (
      select a.o1 as o1, b.o1 as n1 from (select k.* from (select null::bigint as "id") gone cross join lateral (select twinrow.key_part("id", null::bigint) as o1 from old_rows) k) a full join (select k.* from (select null::bigint as "id") gone cross join lateral (select twinrow.key_part("id", null::bigint) as o1 from new_rows) k) b on a.o1 = b.o1
    ), c as materialized (select count(*) = 1 as one from u where u.o1 is null)
    insert into twinrow.log_c9203a16c91c (op, o1, n1)
    select 'U', u.o1, null::bigint from u where u.o1 is not null and u.n1 is not null
    union all select 'R', a.o1, b.n1 from c cross join u a cross join u b where c.one and a.n1 is null and b.o1 is null
    union all select 'D', u.o1, null::bigint from u cross join c where not c.one and u.n1 is null
    union all select 'I', u.n1, null::bigint from u cross join c where not c.one and u.o1 is null;
  else
    insert into twinrow.log_c9203a16c91c (op, o1) select case when k.o1 is null then 'T' else 'U' end, o1 from (select k.* from (select null::bigint as "id") gone cross join lateral (select twinrow.key_part("id", null::bigint) as o1 from new_rows) k) k;
  end if;
  return null;
end $twinrow$;
revoke all on function twinrow.capture_c9203a16c91c() from public;
grant insert on twinrow.log_c9203a16c91c to twinrow_capture;
alter function twinrow.capture_c9203a16c91c() owner to twinrow_capture;
grant select, insert, delete on twinrow.log_c9203a16c91c to "postgres";
-- A plain table: one insert per statement, whatever it touches. Statement triggers don't fire where
-- logical replication applies changes (A18); there, and only there, the row trigger does.
create trigger zz_twinrow_c9203a16c91c_i after insert on "public"."item" referencing new table as new_rows for each statement execute function twinrow.capture_c9203a16c91c();
create trigger zz_twinrow_c9203a16c91c_u after update on "public"."item" referencing old table as old_rows new table as new_rows for each statement execute function twinrow.capture_c9203a16c91c();
create trigger zz_twinrow_c9203a16c91c_d after delete on "public"."item" referencing old table as old_rows for each statement execute function twinrow.capture_c9203a16c91c();
create trigger zz_twinrow_c9203a16c91c_r after insert or update or delete on "public"."item" for each row execute function twinrow.capture_c9203a16c91c();
create trigger zz_twinrow_c9203a16c91c_t after truncate on "public"."item" for each statement execute function twinrow.capture_c9203a16c91c();
alter table "public"."item" enable replica trigger zz_twinrow_c9203a16c91c_r;
alter table "public"."item" enable always trigger zz_twinrow_c9203a16c91c_t;
insert into twinrow.collection (name, n, table_oid, log, log_oid, epoch, key, version, definition)
values ('"public"."item"', 0, '"public"."item"'::pg_catalog.regclass, 'log_c9203a16c91c', ('twinrow.' || 'log_c9203a16c91c')::pg_catalog.regclass, pg_catalog.gen_random_uuid()::text, array['id']::text[], 2, '{}')
on conflict (name) do update set table_oid = excluded.table_oid, log_oid = excluded.log_oid, key = excluded.key, version = excluded.version,
  epoch = case when collection.log_oid = excluded.log_oid then collection.epoch else excluded.epoch end;
update twinrow.collection c set definition = d.definition from (
-- What our objects of each tracked table look like now: its triggers, the function, the table's shape
-- (partitions, key), the log's columns, what the function relies on. One query, however many tables.
select c.name, coalesce(now.oid, 0) as table_now, array[
  coalesce((select string_agg(concat_ws(' ', g.tgname, g.tgenabled, g.tgrelid::text, g.tgtype::text, g.tgoldtable, g.tgnewtable, g.tgattr::text, g.tgqual is null), e'\n' order by g.tgrelid, g.tgname)
    from pg_catalog.pg_trigger g join pg_catalog.pg_proc p on p.oid = g.tgfoid
    where g.tgrelid = any(tree.oids) and p.pronamespace = s.oid and p.proname = 'capture_' || substr(c.log, 5)), ''),
  coalesce((select concat_ws(' ', md5(p.prosrc), p.prosecdef, array_to_string(p.proconfig, ','), p.proowner::text)
    from pg_catalog.pg_proc p where p.pronamespace = s.oid and p.proname = 'capture_' || substr(c.log, 5)), ''),
  concat_ws(' ', now.relkind, now.relispartition, now.parents, array_to_string(tree.oids, ','),
    (select string_agg(concat_ws(' ', a.attname, a.attnotnull, pg_catalog.format_type(a.atttypid, null)), ',' order by a.attname)
      from pg_catalog.pg_attribute a where a.attrelid = now.oid and a.attname = any(c.key) and not a.attisdropped)),
  coalesce((select string_agg(concat_ws(' ', a.attname, pg_catalog.format_type(a.atttypid, null)), ',' order by a.attnum)
    || (select string_agg(concat_ws(' ', g.tgname, g.tgenabled), ',') from pg_catalog.pg_trigger g where g.tgrelid = c.log_oid)
      from pg_catalog.pg_attribute a where a.attrelid = c.log_oid and a.attnum > 0 and not a.attisdropped), ''),
  concat_ws(' ', (select string_agg(a.attnum::text, ',' order by a.attname) from pg_catalog.pg_attribute a
      where a.attrelid = now.oid and a.attname = any(c.key) and not a.attisdropped),
    (select md5(string_agg(concat_ws(' ', p.proargtypes::text, p.prosrc), e'\n' order by p.proargtypes::text))
      from pg_catalog.pg_proc p where p.pronamespace = s.oid and p.proname = 'key_part'))
] as definition
from twinrow.collection c
join pg_catalog.pg_namespace s on s.nspname = 'twinrow'
left join lateral (
  select o.oid, o.relkind::text, o.relispartition::text, (select count(*) from pg_catalog.pg_inherits i where i.inhrelid = o.oid) as parents
  from pg_catalog.pg_class o where o.oid = pg_catalog.to_regclass(c.name)) now on true
left join lateral (
  with recursive tree (oid) as (
    select now.oid union select i.inhrelid from pg_catalog.pg_inherits i join tree t on i.inhparent = t.oid)
  select array_agg(tree.oid order by tree.oid) as oids from tree where tree.oid is not null) tree on true
) d where d.name = c.name and c.name = '"public"."item"';
commit;

