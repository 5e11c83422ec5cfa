-- What a person approved stays so whatever it waits for: reason 6 instead of 4.
update json_table(?, '$[*]' columns (
    link bigint path '$[0]' error on error, side bigint path '$[1]' error on error,
    `key` longtext path '$[2]' error on error, approved longtext path '$[3]' error on error)) as a
straight_join twinrow_work as p force index (primary) on p.link = a.link and p.side = a.side and p.`key` = unhex(a.`key`)
set p.reason = 6, p.cause = 'approved', p.next_try = 0, p.approved = unhex(a.approved)
