-- Who holds the table so that a trigger can't be made.
select string_agg(concat('process ', l.pid, coalesce(' of user ' || a.usename, ''), coalesce(', ' || a.state, '')), '; ')
from (select distinct pid from pg_catalog.pg_locks
  where relation = pg_catalog.to_regclass($1::text) and granted and pid <> pg_catalog.pg_backend_pid()) l
left join pg_catalog.pg_stat_activity a using (pid)
