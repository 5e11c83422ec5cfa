delete from twinrow.receipt where integration = $1::text and n = any((select $2::int8[])::int8[])
