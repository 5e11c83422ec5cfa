-- Who has written into our logs and has not committed: the lock says it, whoever holds it. Prepared transactions
-- have no process. Since when is hidden from those who may not see other users' sessions.
select c.name, l.pid::int8, coalesce(a.usename, p.owner)::text, a.application_name, p.gid,
  extract(epoch from coalesce(a.xact_start, p.prepared))::int8, current_user::text
from twinrow.collection c
join pg_catalog.pg_locks l on l.relation = c.log_oid and l.locktype = 'relation' and l.mode = 'RowExclusiveLock' and l.granted
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
left join pg_catalog.pg_locks x on l.pid is null and x.pid is null and x.locktype = 'transactionid' and x.mode = 'ExclusiveLock'
  and x.virtualtransaction = l.virtualtransaction
left join pg_catalog.pg_prepared_xacts p on p.transaction = x.transactionid
where c.name = any($1::text[]) and a.application_name is distinct from 'twinrow'
  and coalesce(a.xact_start, p.prepared, '-infinity') < pg_catalog.clock_timestamp() - interval '1 second'
order by 6, 2, 1
