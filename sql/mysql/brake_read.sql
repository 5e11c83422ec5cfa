select p.link, p.side, p.kind, p.`hash`, p.records, p.pairs, p.at, p.approved
from json_table(?, '$[*]' columns (link bigint path '$[0]' error on error)) as a
straight_join twinrow_brake as p on p.link = a.link
