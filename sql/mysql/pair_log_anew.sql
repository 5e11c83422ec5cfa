-- No entry of a new log is older than what the map knows (rule 6). Side 0 is the source.
update json_table(?, '$[*]' columns (link bigint path '$[0]' error on error, side bigint path '$[1]' error on error)) as a
straight_join twinrow_pair as p on p.link = a.link
set p.s_pos = if(a.side = 0, 0, p.s_pos), p.t_pos = if(a.side = 1, 0, p.t_pos)
