select coalesce(max(epoch), 0) from twinrow_lease where integration <> ?1
