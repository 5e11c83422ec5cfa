update twinrow_consumer set seq = max(seq, ?3) where name = ?1 and integration = ?2
