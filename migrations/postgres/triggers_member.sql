create trigger zz_twinrow_{mark}_t after truncate on {table} for each statement execute function twinrow.capture_{mark}();
alter table {table} enable always trigger zz_twinrow_{mark}_a;
alter table {table} enable always trigger zz_twinrow_{mark}_t;
