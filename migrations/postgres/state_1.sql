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
