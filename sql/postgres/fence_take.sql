-- Waits for the transaction of the process that is taken over; no row: someone newer was here.
update twinrow.fence set epoch = $2::int8, n = n + 1 where integration = $1::text and epoch < $2::int8
