-- Waits for the transaction of the process that is taken over; no row: someone newer was here.
update twinrow_fence set epoch = ?2, n = n + 1 where integration = ?1 and epoch < ?2
