select count(*) from (select 1 from twinrow_queue where collection = ? and n > ? limit ?) as q
