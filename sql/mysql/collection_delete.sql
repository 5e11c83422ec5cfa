delete from twinrow_collection where name = ?
