select schema_name, name from twinrow_trigger where collection = ?
