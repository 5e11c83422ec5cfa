-- The record a create under way was made from has another key, or is gone.
update twinrow_intent set key = ?2, moved = ?3, gone = ?4 where id = ?1
