-- The tables of the database that holds the state.

create table if not exists twinrow_lease (
  integration varchar(255) not null,
  epoch bigint not null,
  holder varchar(255) not null,
  until bigint not null,
  primary key (integration)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_seen (
  integration varchar(255) not null,
  endpoint varchar(255) not null,
  instance varchar(255) not null,
  n bigint not null,
  primary key (integration, endpoint)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_link (
  integration varchar(255) not null,
  name varchar(255) not null,
  number bigint not null,
  fields longtext not null,
  primary key (number),
  unique (integration, name)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_cursor (
  link bigint not null,
  side bigint not null,
  position longtext not null,
  primary key (link, side)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_pair (
  id bigint not null,
  link bigint not null,
  s_key varbinary(3000),
  t_key varbinary(3000),
  s_former varbinary(3000),
  t_former varbinary(3000),
  s_pos bigint not null,
  t_pos bigint not null,
  status bigint not null,
  ver bigint not null,
  cycle bigint not null,
  diverged bigint not null,
  bases mediumblob not null,
  primary key (id),
  unique key twinrow_pair_s_key (link, s_key),
  unique key twinrow_pair_t_key (link, t_key),
  key twinrow_pair_s_former (link, s_former),
  key twinrow_pair_t_former (link, t_former)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_work (
  link bigint not null,
  side bigint not null,
  `key` varbinary(3000) not null,
  reason bigint not null,
  cause longtext not null,
  waits varbinary(3009),
  attempts bigint not null,
  next_try bigint not null,
  cycle bigint not null,
  since bigint not null,
  primary key (link, side, `key`),
  key twinrow_work_due (link, next_try),
  key twinrow_work_waits (waits)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_conflict (
  id varbinary(64) not null,
  integration varchar(255) not null,
  link bigint not null,
  pair bigint not null,
  s_key varbinary(3000),
  t_key varbinary(3000),
  loser bigint not null,
  s_row longtext,
  t_row longtext,
  kept bigint not null,
  at bigint not null,
  primary key (id),
  key twinrow_conflict_at (integration, at),
  key twinrow_conflict_link (link)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_scan (
  link bigint not null,
  part bigint not null,
  after mediumblob,
  asked bigint not null,
  primary key (link)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_brake (
  link bigint not null,
  side bigint not null,
  kind bigint not null,
  hash varbinary(64) not null,
  records bigint not null,
  pairs bigint not null,
  at bigint not null,
  approved varbinary(64),
  primary key (link, side, kind)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_brake_window (
  link bigint not null,
  side bigint not null,
  kind bigint not null,
  hour bigint not null,
  records bigint not null,
  primary key (link, side, kind, hour)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_intent (
  id bigint not null,
  link bigint not null,
  side bigint not null,
  `key` varbinary(3000) not null,
  token varchar(255) not null,
  epoch bigint not null,
  deadline bigint not null,
  primary key (id)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_run (
  integration varchar(255) not null,
  id bigint not null,
  kind varchar(255) not null,
  started bigint not null,
  ended bigint,
  counts longtext not null,
  primary key (integration, id)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_setting (
  integration varchar(255) not null,
  name varchar(255) not null,
  value longtext not null,
  primary key (integration, name)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;
