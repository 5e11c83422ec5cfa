-- A write, not a read: a read would miss a commit in flight (rule 4).
update json_table(?, '$[*]' columns (integration longtext path '$[0]' error on error, epoch bigint path '$[1]' error on error)) as a
straight_join twinrow_fence as p force index (primary) on p.integration = a.integration and p.epoch = a.epoch
set p.n = p.n + 1
