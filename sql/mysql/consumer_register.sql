insert into twinrow_consumer (collection, integration, n) values (?, ?, ?)
