select p.id, p.link, p.side, p.`key`, p.token, p.epoch, p.deadline, p.pos, p.sent, p.moved, p.gone
from json_table(?, '$[*]' columns (link bigint path '$[0]' error on error)) as a
straight_join twinrow_intent as p on p.link = a.link
