-- What no receipt proves was never written: nothing was overwritten.
delete from twinrow_conflict where link = ?1 and kept = 0
