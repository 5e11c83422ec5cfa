-- What a person has approved about a record that lost a side: of exactly what, and in which set.
alter table twinrow_work add column approved blob;
