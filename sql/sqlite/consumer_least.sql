select min(seq) from twinrow_consumer where name = ?1
