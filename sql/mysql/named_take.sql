-- 1: it is ours now; 0: somebody else had it all the time. A deadlock of such locks, or a session that is killed, says NULL.
select cast(get_lock(?, ?) as char)
