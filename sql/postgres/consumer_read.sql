select name, position from twinrow.consumer where integration = $1::text and name = any($2::text[])
