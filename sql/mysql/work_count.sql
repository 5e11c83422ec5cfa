select p.reason, p.side, count(*)
from json_table(?, '$[*]' columns (link bigint path '$[0]' error on error)) as a
straight_join twinrow_work as p on p.link = a.link
group by a.link, p.reason, p.side
