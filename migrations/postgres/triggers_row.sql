-- Partitions and inheritance: only a row trigger sees a change whichever table it was addressed to
-- (A20, A21).
create trigger zz_twinrow_{mark}_a after insert or update or delete on {table} for each row execute function twinrow.capture_{mark}();
