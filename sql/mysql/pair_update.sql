-- Valid only for the version the decision was made on (rule 3).
update json_table(?, '$[*]' columns (
    id bigint path '$[0]' error on error, link bigint path '$[1]' error on error,
    s_key longtext path '$[2]' error on error, t_key longtext path '$[3]' error on error,
    s_former longtext path '$[4]' error on error, t_former longtext path '$[5]' error on error,
    s_pos bigint path '$[6]' error on error, t_pos bigint path '$[7]' error on error,
    status bigint path '$[8]' error on error, ver bigint path '$[9]' error on error,
    cycle bigint path '$[10]' error on error, diverged bigint path '$[11]' error on error,
    bases longtext path '$[12]' error on error)) as a
straight_join twinrow_pair as p force index (primary) on p.id = a.id and p.ver = a.ver - 1
set p.s_key = unhex(a.s_key), p.t_key = unhex(a.t_key), p.s_former = unhex(a.s_former), p.t_former = unhex(a.t_former),
  p.s_pos = a.s_pos, p.t_pos = a.t_pos, p.status = a.status, p.ver = a.ver, p.cycle = a.cycle, p.diverged = a.diverged,
  p.bases = unhex(a.bases)
