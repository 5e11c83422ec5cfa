-- No entry of a new log is older than what the map knows (rule 6). Side 0 is the source.
update twinrow.pair set s_pos = case $2::int8 when 0 then 0 else s_pos end, t_pos = case $2::int8 when 1 then 0 else t_pos end
where link = $1::int8
