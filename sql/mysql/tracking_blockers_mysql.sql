-- Who holds the table so that a trigger can't be made.
select distinct t.processlist_id as id from performance_schema.metadata_locks as l
join performance_schema.threads as t on t.thread_id = l.owner_thread_id
where l.lock_status = 'GRANTED' and l.object_type = 'TABLE' and l.object_schema = ? and l.object_name = ?
and t.processlist_id <> connection_id() limit 3
