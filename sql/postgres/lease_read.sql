select epoch, holder, until from twinrow.lease where integration = $1::text
