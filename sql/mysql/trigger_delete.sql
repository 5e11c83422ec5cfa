delete from twinrow_trigger where collection = ?
