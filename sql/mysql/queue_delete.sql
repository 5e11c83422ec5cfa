delete from twinrow_queue where collection = ?
