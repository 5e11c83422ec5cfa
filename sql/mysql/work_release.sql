-- A parent has its twin now: its children's turn.
update json_table(?, '$[*]' columns (waits longtext path '$[0]' error on error)) as a
straight_join twinrow_work as p force index (twinrow_work_waits) on p.waits = unhex(a.waits)
set p.next_try = 0, p.cycle = 0
