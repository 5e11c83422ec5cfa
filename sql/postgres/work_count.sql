select reason, side, count(*) from twinrow.work where link = $1::int8 group by reason, side
