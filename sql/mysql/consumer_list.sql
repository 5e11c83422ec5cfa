select integration, n from twinrow_consumer where collection = ?
