select p.link, p.part, p.`after`, p.asked
from json_table(?, '$[*]' columns (link bigint path '$[0]' error on error)) as a
straight_join twinrow_scan as p on p.link = a.link
