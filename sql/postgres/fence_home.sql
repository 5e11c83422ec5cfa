-- Remembers how far the state's own fence was: a restored state shows by being behind (rule 17).
update twinrow.fence set home_n = $3::int8 where integration = $1::text and epoch = $2::int8
