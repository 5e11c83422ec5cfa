select p.epoch, p.n, p.instance, p.home_n
from json_table(?, '$[*]' columns (integration longtext path '$[0]' error on error)) as a
straight_join twinrow_fence as p on p.integration = a.integration
