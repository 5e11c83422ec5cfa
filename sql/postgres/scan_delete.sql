delete from twinrow.scan where link = $1::int8
