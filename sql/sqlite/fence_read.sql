select epoch, n, instance, home_n from twinrow_fence where integration = ?1
