select pruned from twinrow_collection where name = ?1
