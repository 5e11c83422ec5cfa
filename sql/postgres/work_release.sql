-- A parent has its twin now: its children's turn.
update twinrow.work set next_try = 0, cycle = 0 where waits = any((select $1::bytea[])::bytea[])
