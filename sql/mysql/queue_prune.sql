delete from twinrow_queue where collection = ? and n <= ? limit ?
