-- What version 3 installed for the table `item`, for the test of upgrades (A32). Never changed.
begin immediate;
create table if not exists twinrow_fence (
  integration text not null,
  epoch integer not null,
  n integer not null,
  instance text not null,
  home_n integer not null,
  primary key (integration)
) without rowid;
create table if not exists twinrow_receipt (
  integration text not null,
  n integer not null,
  id integer not null,
  link integer not null,
  s_key blob,
  t_key blob,
  s_former blob,
  t_former blob,
  s_pos integer not null,
  t_pos integer not null,
  status integer not null,
  ver integer not null,
  cycle integer not null,
  diverged integer not null,
  bases blob not null,
  detached integer,
  primary key (integration, n)
) without rowid;
create table if not exists twinrow_collection (
  name text not null,
  n integer not null,
  log text not null,
  version integer not null,
  pruned integer not null,
  primary key (name)
) without rowid;
create table if not exists twinrow_consumer (
  name text not null,
  integration text not null,
  seq integer not null,
  primary key (name, integration)
) without rowid;
create table if not exists twinrow_version (
  part text not null,
  version integer not null,
  primary key (part)
) without rowid;
create table if not exists twinrow_edge (
  integration text not null,
  link text not null,
  s_database text not null,
  s_name text not null,
  t_database text not null,
  t_name text not null,
  primary key (integration, link)
) without rowid;
insert or replace into twinrow_version (part, version) values ('endpoint', 3);
create table if not exists twinrow_lease (
  integration text not null,
  epoch integer not null,
  holder text not null,
  until integer not null,
  primary key (integration)
) without rowid;
create table if not exists twinrow_seen (
  integration text not null,
  endpoint text not null,
  instance text not null,
  n integer not null,
  primary key (integration, endpoint)
) without rowid;
create table if not exists twinrow_link (
  integration text not null,
  name text not null,
  number integer not null,
  fields text not null,
  primary key (number),
  unique (integration, name)
);
create table if not exists twinrow_cursor (
  link integer not null,
  side integer not null,
  position text not null,
  primary key (link, side)
) without rowid;
create table if not exists twinrow_pair (
  id integer not null,
  link integer not null,
  s_key blob,
  t_key blob,
  s_former blob,
  t_former blob,
  s_pos integer not null,
  t_pos integer not null,
  status integer not null,
  ver integer not null,
  cycle integer not null,
  diverged integer not null,
  bases blob not null,
  primary key (id),
  unique (link, s_key),
  unique (link, t_key)
);
create table if not exists twinrow_work (
  link integer not null,
  side integer not null,
  key blob not null,
  reason integer not null,
  cause text not null,
  waits blob,
  attempts integer not null,
  next_try integer not null,
  cycle integer not null,
  since integer not null,
  primary key (link, side, key)
) without rowid;
create table if not exists twinrow_conflict (
  id blob not null,
  integration text not null,
  link integer not null,
  pair integer not null,
  s_key blob,
  t_key blob,
  loser integer not null,
  s_row text,
  t_row text,
  kept integer not null,
  at integer not null,
  primary key (id)
) without rowid;
create table if not exists twinrow_scan (
  link integer not null,
  part integer not null,
  after blob,
  asked integer not null,
  primary key (link)
) without rowid;
create table if not exists twinrow_brake (
  link integer not null,
  side integer not null,
  kind integer not null,
  hash blob not null,
  records integer not null,
  pairs integer not null,
  at integer not null,
  approved blob,
  primary key (link, side, kind)
) without rowid;
create table if not exists twinrow_brake_window (
  link integer not null,
  side integer not null,
  kind integer not null,
  hour integer not null,
  records integer not null,
  primary key (link, side, kind, hour)
) without rowid;
create table if not exists twinrow_intent (
  id integer not null,
  link integer not null,
  side integer not null,
  key blob not null,
  token text not null,
  epoch integer not null,
  deadline integer not null,
  primary key (id)
) without rowid;
create table if not exists twinrow_run (
  integration text not null,
  id integer not null,
  kind text not null,
  started integer not null,
  ended integer,
  counts text not null,
  primary key (integration, id)
) without rowid;
create table if not exists twinrow_setting (
  integration text not null,
  name text not null,
  value text not null,
  primary key (integration, name)
) without rowid;
create index if not exists twinrow_work_due on twinrow_work (link, next_try);
create index if not exists twinrow_work_waits on twinrow_work (waits) where waits is not null;
create index if not exists twinrow_pair_s_former on twinrow_pair (link, s_former) where s_former is not null;
create index if not exists twinrow_pair_t_former on twinrow_pair (link, t_former) where t_former is not null;
create index if not exists twinrow_conflict_at on twinrow_conflict (integration, at);
alter table twinrow_intent add column pos integer not null default 0;
alter table twinrow_intent add column sent blob;
alter table twinrow_work add column approved blob;
alter table twinrow_intent add column moved integer not null default 0;
alter table twinrow_intent add column gone integer not null default 0;
insert or replace into twinrow_version (part, version) values ('state', 4);
commit;

begin immediate;
drop trigger if exists twinrow_d51d177ce7b453d9_bi;
drop trigger if exists twinrow_d51d177ce7b453d9_bu;
drop trigger if exists twinrow_d51d177ce7b453d9_ai;
drop trigger if exists twinrow_d51d177ce7b453d9_au;
drop trigger if exists twinrow_d51d177ce7b453d9_ad;
drop table if exists twinrow_log_d51d177ce7b453d9;
create table twinrow_log_d51d177ce7b453d9 (seq integer primary key autoincrement, op, origin, o1, n1);
insert into twinrow_log_d51d177ce7b453d9 (op, origin) values ('E', lower(hex(randomblob(16))));
insert into twinrow_collection (name, n, log, version, pruned) values ('item', 0, 'twinrow_log_d51d177ce7b453d9', 0, 0)
on conflict (name) do update set log = excluded.log, pruned = 0;
update twinrow_consumer set seq = 1 where name = 'item';
create trigger twinrow_d51d177ce7b453d9_bi before insert on "item" begin insert into twinrow_log_d51d177ce7b453d9 (op, o1, n1) select 'X', t."id", new."id" from "item" t where t."id" = new."id" collate BINARY; insert into twinrow_log_d51d177ce7b453d9 (op, o1, n1) select 'X', t."id", new."id" from "item" t where t."code" = new."code" collate BINARY; end;
create trigger twinrow_d51d177ce7b453d9_bu before update on "item" begin insert into twinrow_log_d51d177ce7b453d9 (op, o1, n1) select 'X', t."id", old."id" from "item" t where t."id" = new."id" collate BINARY and not (t."id" is old."id" collate BINARY); insert into twinrow_log_d51d177ce7b453d9 (op, o1, n1) select 'X', t."id", old."id" from "item" t where t."code" = new."code" collate BINARY and not (t."id" is old."id" collate BINARY); end;
create trigger twinrow_d51d177ce7b453d9_ai after insert on "item" begin insert into twinrow_log_d51d177ce7b453d9 (op, n1) values ('I', new."id"); end;
create trigger twinrow_d51d177ce7b453d9_au after update on "item" begin insert into twinrow_log_d51d177ce7b453d9 (op, o1, n1) values ('U', old."id", new."id"); end;
create trigger twinrow_d51d177ce7b453d9_ad after delete on "item" begin insert into twinrow_log_d51d177ce7b453d9 (op, o1) values ('D', old."id"); end;
update twinrow_collection set version = 3 where name = 'item';
commit;

