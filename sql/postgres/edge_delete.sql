delete from twinrow.edge where integration = $1::text
