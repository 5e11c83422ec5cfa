update twinrow_collection set pruned = max(pruned, ?2) where name = ?1
