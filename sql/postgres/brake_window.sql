select side, kind, coalesce(sum(records), 0)::int8 from twinrow.brake_window where link = $1::int8 and hour >= $2::int8 group by side, kind
