select p.side, p.position
from json_table(?, '$[*]' columns (link bigint path '$[0]' error on error)) as a
straight_join twinrow_cursor as p on p.link = a.link
