select endpoint, instance, n from twinrow.seen where integration = $1::text
