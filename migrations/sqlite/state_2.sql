-- What was sent with a create whose answer was lost, as fingerprints, and the end of the record that had its key before.
alter table twinrow_intent add column pos integer not null default 0;
alter table twinrow_intent add column sent blob;
