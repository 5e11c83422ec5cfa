delete from twinrow_receipt where integration = ?1 and n = ?2
