-- Which migrations of each part this database has had; a greater number than a program knows was
-- written by a newer one.
create table if not exists twinrow_version (
  part varchar(64) not null,
  version bigint not null,
  primary key (part)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;

-- Of the table's log and triggers.
alter table twinrow_collection add column version bigint not null default 1;
