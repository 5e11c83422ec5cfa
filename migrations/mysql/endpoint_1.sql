-- What every database of an integration has: whose turn it is to write, and proofs of what was written.

create table if not exists twinrow_fence (
  integration varchar(255) not null,
  epoch bigint not null,
  n bigint not null,
  instance varchar(255) not null,
  home_n bigint not null,
  primary key (integration)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists twinrow_receipt (
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

-- One row a tracked table: its log, the lock of its creates, and what shows that it was replaced (A12, A31).
create table if not exists twinrow_collection (
  name varchar(255) not null,
  n bigint not null,
  log varchar(64) not null,
  table_id bigint,
  auto_increment bigint unsigned,
  primary key (name)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

-- Every trigger as it was installed; `collection` is the table whose log it writes.
create table if not exists twinrow_trigger (
  schema_name varchar(64) not null,
  name varchar(64) not null,
  table_name varchar(64) not null,
  collection varchar(255) not null,
  body longtext not null,
  primary key (schema_name, name)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

-- Who reads a log, and how far it has read the queue. One reader needs no queue.
create table if not exists twinrow_consumer (
  collection varchar(255) not null,
  integration varchar(255) not null,
  n bigint not null,
  primary key (collection, integration)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

-- The last number given out in the queue. Its lock orders drain, acknowledge and register (rule 14).
create table if not exists twinrow_drain (
  id tinyint not null,
  n bigint not null,
  primary key (id)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

-- Entries of logs with several readers, numbered after they were committed.
create table if not exists twinrow_queue (
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

insert ignore into twinrow_drain (id, n) values (1, 0);
