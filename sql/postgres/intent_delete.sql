delete from twinrow.intent where id = any($1::int8[])
