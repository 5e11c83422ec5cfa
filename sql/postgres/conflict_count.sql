select count(*) from twinrow.conflict where link = $1::int8 and kept = 1
