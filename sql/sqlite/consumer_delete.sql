delete from twinrow_consumer where name = ?1 and integration = ?2
