update twinrow_lease set until = ?3 where integration = ?1 and epoch = ?2
