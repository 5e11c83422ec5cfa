-- What was sent with a create whose answer was lost, as fingerprints, and the end of the record that had its key before.
alter table twinrow.intent add column if not exists pos bigint not null default 0;
alter table twinrow.intent add column if not exists sent bytea;
