-- What every database of an integration has: whose turn it is to write, and proofs of what was written.

create table if not exists twinrow.fence (
  integration text not null,
  epoch bigint not null,
  n bigint not null,
  instance text not null,
  home_n bigint not null,
  primary key (integration)
) with (fillfactor = 50);

create table if not exists twinrow.receipt (
  integration text not null,
  n bigint not null,
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
  detached bigint,
  primary key (integration, n)
);

-- A row per tracked table. `n` is counted by whoever creates records, so that two don't at once (rule 13).
-- `epoch` changes with the log, so that a position on another log is noticed (A11); `definition` is what
-- our objects looked like when they were made.
create table if not exists twinrow.collection (
  name text not null,
  n bigint not null,
  table_oid oid not null,
  log text not null,
  log_oid oid not null,
  epoch text not null,
  key text[] not null,
  version bigint not null,
  definition text[] not null,
  primary key (name)
) with (fillfactor = 50);

-- Who reads which log, and how far: entries are removed below the least of them.
create table if not exists twinrow.consumer (
  integration text not null,
  name text not null,
  position text not null,
  n bigint not null,
  primary key (integration, name)
) with (fillfactor = 50);

-- A log that someone else empties is another log.
create or replace function twinrow.log_emptied() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $twinrow$
begin
  update twinrow.collection set epoch = gen_random_uuid()::text where log = tg_table_name;
  return null;
end $twinrow$;
revoke all on function twinrow.log_emptied() from public;
