update json_table(?, '$[*]' columns (
    integration longtext path '$[0]' error on error, epoch bigint path '$[1]' error on error,
    until bigint path '$[2]' error on error)) as a
straight_join twinrow_lease as p force index (primary) on p.integration = a.integration and p.epoch = a.epoch
set p.until = a.until
