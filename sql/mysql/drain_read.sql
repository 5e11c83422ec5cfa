-- Whether there is the row that numbers the queue: without it nothing is read, drained or registered.
select 'numbered' as about, null as a, null as b, null as c, null as d, null as e from twinrow_drain where id = 1
