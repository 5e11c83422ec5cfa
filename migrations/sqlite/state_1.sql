-- The tables of the database that holds the state.

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
