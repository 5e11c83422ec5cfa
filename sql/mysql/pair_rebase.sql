-- As pair_update, for pairs whose keys stay.
update json_table(?, '$[*]' columns (
    id bigint path '$[0]' error on error, s_pos bigint path '$[1]' error on error, t_pos bigint path '$[2]' error on error,
    ver bigint path '$[3]' error on error, cycle bigint path '$[4]' error on error,
    diverged bigint path '$[5]' error on error, bases longtext path '$[6]' error on error)) as a
straight_join twinrow_pair as p force index (primary) on p.id = a.id and p.ver = a.ver - 1
set p.s_pos = a.s_pos, p.t_pos = a.t_pos, p.ver = a.ver, p.cycle = a.cycle, p.diverged = a.diverged, p.bases = unhex(a.bases)
