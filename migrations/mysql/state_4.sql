-- Where the log last gave a key to the record that a create under way was made from, and whether that record is gone since.
alter table twinrow_intent add column moved bigint not null default 0;
alter table twinrow_intent add column gone bigint not null default 0;
