delete from twinrow.intent where id = any((select $1::int8[])::int8[])
