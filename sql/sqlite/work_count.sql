select reason, side, count(*) from twinrow_work where link = ?1 group by reason, side
