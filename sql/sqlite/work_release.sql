-- A parent has its twin now: its children's turn.
update twinrow_work set next_try = 0, cycle = 0 where waits = ?1
