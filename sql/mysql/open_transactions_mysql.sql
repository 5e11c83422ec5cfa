-- Who has written into our logs and has not committed: the lock on the log says it.
select t.trx_mysql_thread_id, concat(h.processlist_user, '@', h.processlist_host), a.attr_value, unix_timestamp(t.trx_started), l.object_name
from performance_schema.data_locks as l
join information_schema.innodb_trx as t on t.trx_id = l.engine_transaction_id
left join performance_schema.threads as h on h.processlist_id = t.trx_mysql_thread_id
left join performance_schema.session_connect_attrs as a on a.processlist_id = t.trx_mysql_thread_id and a.attr_name = 'program_name'
where l.object_schema = database() and l.lock_type = 'TABLE' and l.lock_mode = 'IX' and l.object_name like 'twinrow\_log\_%'
  and t.trx_mysql_thread_id <> connection_id() and t.trx_started < now() - interval 1 second
order by t.trx_started, t.trx_mysql_thread_id
