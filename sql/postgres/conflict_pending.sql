select pair from twinrow.conflict where integration = $1::text and kept = 0
