-- Remembers how far the state's own fence was: a restored state shows by being behind (rule 17).
update json_table(?, '$[*]' columns (
    integration longtext path '$[0]' error on error, epoch bigint path '$[1]' error on error,
    home_n bigint path '$[2]' error on error)) as a
straight_join twinrow_fence as p force index (primary) on p.integration = a.integration and p.epoch = a.epoch
set p.home_n = a.home_n
