select endpoint, instance, n from twinrow_seen where integration = ?1
