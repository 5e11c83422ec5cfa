-- Which migrations of each part this database has had; a greater number than a program knows was
-- written by a newer one.
create table if not exists twinrow.version (
  part text not null,
  version bigint not null,
  primary key (part)
);

-- A part of a key as the log holds it, or NULL if the column has another type now: the application's
-- write must not fail on it (A30). One function for each type that fits, and one for all others;
-- they are inlined, and cost nothing.
do $$ declare part record; begin
  for part in select * from (values
    ('boolean', 'boolean'), ('bigint', 'smallint'), ('bigint', 'integer'), ('bigint', 'bigint'), ('numeric', 'numeric'),
    ('double precision', 'real'), ('double precision', 'double precision'), ('bytea', 'bytea'), ('date', 'date'),
    ('time', 'time'), ('timestamp', 'timestamp'), ('timestamptz', 'timestamptz'), ('uuid', 'uuid'),
    ('boolean', 'anyelement'), ('bigint', 'anyelement'), ('numeric', 'anyelement'), ('double precision', 'anyelement'),
    ('bytea', 'anyelement'), ('date', 'anyelement'), ('time', 'anyelement'), ('timestamp', 'anyelement'),
    ('timestamptz', 'anyelement'), ('uuid', 'anyelement')) part (logged, there)
  loop
    execute pg_catalog.format('create or replace function twinrow.key_part(%s, %s) returns %2$s language sql immutable as %L',
      part.there, part.logged, case part.there when 'anyelement' then 'select null::' else 'select $1::' end || part.logged);
  end loop;
end $$;
