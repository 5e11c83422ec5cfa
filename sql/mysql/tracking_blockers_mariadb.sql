-- Who may hold the table so that a trigger can't be made: MariaDB does not tell whose locks these are.
select trx_mysql_thread_id as id from information_schema.innodb_trx where trx_mysql_thread_id <> connection_id()
order by trx_started limit 3
