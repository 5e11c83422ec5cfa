-- Of each log: its name, its readers but this one, and this one's number in the queue.
select c.name, c.log, (select count(*) from twinrow_consumer as k where k.collection = c.name and k.integration <> ?),
(select k.n from twinrow_consumer as k where k.collection = c.name and k.integration = ?)
from json_table(?, '$[*]' columns (name longtext path '$' error on error)) as a
straight_join twinrow_collection as c on c.name = a.name
