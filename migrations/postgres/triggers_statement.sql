-- A plain table: one insert per statement, whatever it touches. Statement triggers don't fire where
-- logical replication applies changes (A18); there, and only there, the row trigger does.
create trigger zz_twinrow_{mark}_i after insert on {table} referencing new table as new_rows for each statement execute function twinrow.capture_{mark}();
create trigger zz_twinrow_{mark}_u after update on {table} referencing old table as old_rows new table as new_rows for each statement execute function twinrow.capture_{mark}();
create trigger zz_twinrow_{mark}_d after delete on {table} referencing old table as old_rows for each statement execute function twinrow.capture_{mark}();
create trigger zz_twinrow_{mark}_r after insert or update or delete on {table} for each row execute function twinrow.capture_{mark}();
create trigger zz_twinrow_{mark}_t after truncate on {table} for each statement execute function twinrow.capture_{mark}();
alter table {table} enable replica trigger zz_twinrow_{mark}_r;
alter table {table} enable always trigger zz_twinrow_{mark}_t;
