-- What version 1 installed for the table `item`, for the test of upgrades (A32). Never changed.
-- The bodies that write the log are older still: they do not note who wrote.
set names utf8mb4 collate utf8mb4_bin;
set session sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO';
set session lock_wait_timeout = 2;

create table if not exists `{database}`.`twinrow_fence` (
  integration varchar(255) not null,
  epoch bigint not null,
  n bigint not null,
  instance varchar(255) not null,
  home_n bigint not null,
  primary key (integration)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_receipt` (
  integration varchar(255) not null,
  n bigint not null,
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
  detached bigint,
  primary key (integration, n)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_collection` (
  name varchar(255) not null,
  n bigint not null,
  log varchar(64) not null,
  table_id bigint,
  auto_increment bigint unsigned,
  primary key (name)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_trigger` (
  schema_name varchar(64) not null,
  name varchar(64) not null,
  table_name varchar(64) not null,
  collection varchar(255) not null,
  body longtext not null,
  primary key (schema_name, name)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_consumer` (
  collection varchar(255) not null,
  integration varchar(255) not null,
  n bigint not null,
  primary key (collection, integration)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_drain` (
  id tinyint not null,
  n bigint not null,
  primary key (id)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_queue` (
  n bigint not null,
  collection varchar(255) not null,
  seq bigint not null,
  op char(1) not null,
  origin varchar(255),
  old_key mediumblob,
  new_key mediumblob,
  primary key (n),
  key twinrow_queue_collection (collection, n)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

insert ignore into `{database}`.`twinrow_drain` (id, n) values (1, 0);

create table if not exists `{database}`.`twinrow_lease` (
  integration varchar(255) not null,
  epoch bigint not null,
  holder varchar(255) not null,
  until bigint not null,
  primary key (integration)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_seen` (
  integration varchar(255) not null,
  endpoint varchar(255) not null,
  instance varchar(255) not null,
  n bigint not null,
  primary key (integration, endpoint)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_link` (
  integration varchar(255) not null,
  name varchar(255) not null,
  number bigint not null,
  fields longtext not null,
  primary key (number),
  unique (integration, name)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_cursor` (
  link bigint not null,
  side bigint not null,
  position longtext not null,
  primary key (link, side)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_pair` (
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

create table if not exists `{database}`.`twinrow_work` (
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

create table if not exists `{database}`.`twinrow_conflict` (
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

create table if not exists `{database}`.`twinrow_scan` (
  link bigint not null,
  part bigint not null,
  after mediumblob,
  asked bigint not null,
  primary key (link)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_brake` (
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

create table if not exists `{database}`.`twinrow_brake_window` (
  link bigint not null,
  side bigint not null,
  kind bigint not null,
  hour bigint not null,
  records bigint not null,
  primary key (link, side, kind, hour)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_intent` (
  id bigint not null,
  link bigint not null,
  side bigint not null,
  `key` varbinary(3000) not null,
  token varchar(255) not null,
  epoch bigint not null,
  deadline bigint not null,
  primary key (id)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_run` (
  integration varchar(255) not null,
  id bigint not null,
  kind varchar(255) not null,
  started bigint not null,
  ended bigint,
  counts longtext not null,
  primary key (integration, id)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists `{database}`.`twinrow_setting` (
  integration varchar(255) not null,
  name varchar(255) not null,
  value longtext not null,
  primary key (integration, name)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create user if not exists '{account}'@'localhost' account lock;

create table if not exists `{database}`.`{log}` (
  seq bigint unsigned not null auto_increment,
  op char(1) character set ascii,
  origin varchar(255) character set utf8mb4 collate utf8mb4_bin,
  o1 decimal(20,0),
  n1 decimal(20,0),
  primary key (seq)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin comment='changes of item';

insert into `{database}`.`{log}` (op, origin) values ('E', uuid());

grant insert on `{database}`.`{log}` to '{account}'@'localhost';

grant trigger on `{database}`.`item` to '{account}'@'localhost';

grant select (`id`) on `{database}`.`item` to '{account}'@'localhost';

create definer='{account}'@'localhost' trigger `{database}`.`twinrow_{hash}_ai_ea82cf74f78e` after insert on `{database}`.`item` for each row
  insert into `{database}`.`{log}` (op, o1, n1) values ('I', null, new.`id`);

replace into `{database}`.twinrow_trigger (schema_name, name, table_name, collection, body) values ('{database}', 'twinrow_{hash}_ai_ea82cf74f78e', 'item', 'item', 'insert into `{database}`.`{log}` (op, o1, n1) values (''I'', null, new.`id`)');

create definer='{account}'@'localhost' trigger `{database}`.`twinrow_{hash}_au_eb1dfe679ed8` after update on `{database}`.`item` for each row
  insert into `{database}`.`{log}` (op, o1, n1) values ('U', old.`id`, new.`id`);

replace into `{database}`.twinrow_trigger (schema_name, name, table_name, collection, body) values ('{database}', 'twinrow_{hash}_au_eb1dfe679ed8', 'item', 'item', 'insert into `{database}`.`{log}` (op, o1, n1) values (''U'', old.`id`, new.`id`)');

create definer='{account}'@'localhost' trigger `{database}`.`twinrow_{hash}_ad_299474b1c89d` after delete on `{database}`.`item` for each row
  insert into `{database}`.`{log}` (op, o1, n1) values ('D', old.`id`, null);

replace into `{database}`.twinrow_trigger (schema_name, name, table_name, collection, body) values ('{database}', 'twinrow_{hash}_ad_299474b1c89d', 'item', 'item', 'insert into `{database}`.`{log}` (op, o1, n1) values (''D'', old.`id`, null)');

insert into `{database}`.twinrow_collection (name, n, log, table_id, auto_increment) values ('item', 0, '{log}', null, 1) on duplicate key update log = '{log}', table_id = null, auto_increment = 1;
