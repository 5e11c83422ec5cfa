-- No entry of a new log is older than what the map knows (rule 6). Side 0 is the source.
update twinrow_pair set s_pos = iif(?2 = 0, 0, s_pos), t_pos = iif(?2 = 1, 0, t_pos) where link = ?1
