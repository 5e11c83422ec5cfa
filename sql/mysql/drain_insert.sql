-- The row that numbers the queue. Where it was lost, behind every number that was given out: cursors stand on them.
insert ignore into {database}.twinrow_drain (id, n)
select 1, greatest(coalesce((select max(n) from {database}.twinrow_queue), 0), coalesce((select max(n) from {database}.twinrow_consumer), 0))
