select 1::int8 from twinrow.pair where link = $1::int8 limit 1
