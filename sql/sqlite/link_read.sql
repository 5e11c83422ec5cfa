select name, number, fields from twinrow_link where integration = ?1
