-- What each integration links with a table of this database, and under the name of no integration the
-- name of the database itself: links form a forest over all integrations (rule 21).
create table if not exists twinrow_edge (
  integration varchar(255) not null,
  link varchar(255) not null,
  s_database varchar(255) not null,
  s_name varchar(255) not null,
  t_database varchar(255) not null,
  t_name varchar(255) not null,
  primary key (integration, link)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin;
