select min(n) from twinrow_consumer where collection = ?
