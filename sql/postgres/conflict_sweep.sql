-- What no receipt proves was never written: nothing was overwritten.
delete from twinrow.conflict where link = any($1::int8[]) and kept = 0
