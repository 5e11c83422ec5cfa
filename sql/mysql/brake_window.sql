select side, kind, cast(coalesce(sum(records), 0) as signed) from twinrow_brake_window where link = ?1 and hour >= ?2 group by side, kind
