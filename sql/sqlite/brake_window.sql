select side, kind, coalesce(sum(records), 0) from twinrow_brake_window where link = ?1 and hour >= ?2 group by side, kind
