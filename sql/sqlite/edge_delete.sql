delete from twinrow_edge where integration = ?1
