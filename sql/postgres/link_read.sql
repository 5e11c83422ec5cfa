select name, number, fields from twinrow.link where integration = $1::text
