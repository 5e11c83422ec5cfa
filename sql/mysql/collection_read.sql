select log from twinrow_collection where name = ?
