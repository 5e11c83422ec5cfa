-- How many read each log, and whether something of it is in the queue. Only MySQL has a queue: where a log has several
-- readers, its rows move there, under numbers in the order of commits.
select a.name, (select count(*) from twinrow_consumer as k where k.collection = a.name),
exists (select 1 from twinrow_queue as q where q.collection = a.name)
from json_table(?, '$[*]' columns (name longtext path '$' error on error)) as a
