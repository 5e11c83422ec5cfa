select coalesce(max(epoch), 0)::int8 from twinrow.lease where integration <> $1::text
