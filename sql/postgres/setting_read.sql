select name, value from twinrow.setting where integration = $1::text
