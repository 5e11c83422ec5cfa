-- It was decided: the values of that moment are nobody's business any more.
delete from twinrow_conflict where id = ?1 and kept = 2
