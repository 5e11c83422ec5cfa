delete from twinrow_intent where id = ?1
