-- Updates that a newer entry of the same key repeats (rule 9), of part $1 of $2 of the keys, at most $3 of them.
-- Only what is committed is seen here, and a newer entry of a row was written under that row's lock, after the
-- older one's transaction had ended: whoever has seen the newer one, has seen the older one too.
-- What an application has written stays where only an integration has written since: it is whose change it is.
with gone as (
  delete from twinrow.{log} where ctid = any(array(
    select s.ctid from (
      select l.ctid, l.op, l.lsn, greatest(max(l.lsn) over (partition by {key}, l.origin),
        max(l.lsn) filter (where l.op <> 'U' or l.origin is null) over (partition by {key})) as newest from twinrow.{log} l
      where $2::int8 = 1 or pg_catalog.abs(pg_catalog.hashtextextended(pg_catalog.concat_ws('|', {key}), 0) % $2::int8) = $1::int8
    ) s where s.op = 'U' and s.lsn < s.newest limit $3::int8))
  returning 1)
select count(*) from gone
