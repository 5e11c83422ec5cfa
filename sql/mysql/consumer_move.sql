update twinrow_consumer set n = ? where collection = ? and integration = ?
