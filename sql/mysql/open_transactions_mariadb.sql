-- Who has changed something and has not committed. MariaDB does not say in which tables.
select t.trx_mysql_thread_id, concat(p.user, '@', p.host), null, unix_timestamp(t.trx_started), null
from information_schema.innodb_trx as t left join information_schema.processlist as p on p.id = t.trx_mysql_thread_id
where t.trx_rows_modified > 0 and t.trx_mysql_thread_id <> connection_id() and (p.db = database() or p.db is null)
  and t.trx_started < now() - interval 1 second
order by t.trx_started, t.trx_mysql_thread_id
