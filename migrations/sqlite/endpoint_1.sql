-- What every database of an integration has: whose turn it is to write, and proofs of what was written.

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

-- One row per tracked table. n: taken by creates (rule 13). pruned: the last entry that was removed.
create table if not exists twinrow_collection (
  name text not null,
  n integer not null,
  log text not null,
  version integer not null,
  pruned integer not null,
  primary key (name)
) without rowid;

-- How far each integration has read a table's log: what is below the least of them may go.
create table if not exists twinrow_consumer (
  name text not null,
  integration text not null,
  seq integer not null,
  primary key (name, integration)
) without rowid;
