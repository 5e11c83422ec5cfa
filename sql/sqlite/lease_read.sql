select epoch, holder, until from twinrow_lease where integration = ?1
