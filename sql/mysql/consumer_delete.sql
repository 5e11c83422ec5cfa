delete from twinrow_consumer where collection = ? and integration = ?
