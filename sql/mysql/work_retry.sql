-- All of a link with one reason; brakes are lifted by approval only.
update json_table(?, '$[*]' columns (link bigint path '$[0]' error on error, reason bigint path '$[1]' error on error)) as a
straight_join twinrow_work as p force index (primary) on p.link = a.link and p.reason = a.reason
set p.next_try = 0
