grant usage, create on schema twinrow to twinrow_capture;
grant select, update on twinrow.collection to twinrow_capture;
alter function twinrow.log_emptied() owner to twinrow_capture;
