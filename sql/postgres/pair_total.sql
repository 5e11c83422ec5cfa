-- Also what has ended: no row is ever removed.
select count(*) from twinrow.pair where link = $1::int8
