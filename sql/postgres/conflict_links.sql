select distinct link from twinrow.conflict where integration = $1::text and kept = 2
