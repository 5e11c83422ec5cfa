-- Remembers how far the state's own fence was: a restored state shows by being behind (rule 17).
update twinrow_fence set home_n = ?3 where integration = ?1 and epoch = ?2
