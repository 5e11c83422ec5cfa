-- Also what has ended: no row is ever removed.
select count(*) from twinrow_pair where link = ?1
