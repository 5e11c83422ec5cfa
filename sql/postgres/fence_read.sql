select epoch, n, instance, home_n from twinrow.fence where integration = $1::text
