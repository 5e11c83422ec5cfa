select p.link, p.side, p.`key`, p.reason, p.cause, p.waits, p.attempts, p.next_try, p.cycle, p.since, p.approved
from json_table(?, '$[*]' columns (
    link bigint path '$[0]' error on error, side bigint path '$[1]' error on error,
    `key` longtext path '$[2]' error on error)) as a
straight_join twinrow_work as p on p.link = a.link and p.side = a.side and p.`key` = unhex(a.`key`)
