select name, value from twinrow_setting where integration = ?1
