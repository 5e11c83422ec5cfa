insert into twinrow_work (link, side, `key`, reason, cause, waits, attempts, next_try, cycle, since, approved)
select a.link, a.side, unhex(a.`key`), a.reason, a.cause, unhex(a.waits), a.attempts, a.next_try, a.cycle, a.since, unhex(a.approved)
from json_table(?, '$[*]' columns (
    link bigint path '$[0]' error on error, side bigint path '$[1]' error on error,
    `key` longtext path '$[2]' error on error, reason bigint path '$[3]' error on error,
    cause longtext path '$[4]' error on error, waits longtext path '$[5]' error on error,
    attempts bigint path '$[6]' error on error, next_try bigint path '$[7]' error on error,
    cycle bigint path '$[8]' error on error, since bigint path '$[9]' error on error,
    approved longtext path '$[10]' error on error)) as a
on duplicate key update reason = a.reason, cause = a.cause, waits = unhex(a.waits), attempts = a.attempts, next_try = a.next_try, cycle = a.cycle, approved = unhex(a.approved)
