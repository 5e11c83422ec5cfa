select coalesce(max(p.epoch), 0)
from json_table(?, '$[*]' columns (integration longtext path '$[0]' error on error)) as a
straight_join twinrow_lease as p on p.integration <> a.integration
