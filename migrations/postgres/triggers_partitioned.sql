-- Where a row may go to another partition; the condition is on columns that can't be dropped or get another type.
create trigger zz_twinrow_{mark}_m before update on {table} for each row when ({parted}) execute function twinrow.capture_{mark}();
alter table {table} enable always trigger zz_twinrow_{mark}_m;
