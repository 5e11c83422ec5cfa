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
