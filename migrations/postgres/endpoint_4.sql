-- The rows that updates under way may take to another partition: where each was. Seen by nobody but its own transaction, which takes
-- it away again. No constraint, as on the logs; not written ahead, as nothing is lost with it.
create unlogged table if not exists twinrow.move (
  xid xid8 not null default pg_catalog.pg_current_xact_id(),
  log text not null,
  part oid not null,
  place tid not null
);
create index if not exists move_place on twinrow.move (part, place);
