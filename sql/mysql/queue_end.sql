select coalesce(max(n), 0) from twinrow_queue where collection = ?
