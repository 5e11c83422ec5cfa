delete from twinrow.receipt where integration = $1::text and n = any($2::int8[])
