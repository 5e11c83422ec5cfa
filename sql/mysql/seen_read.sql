select p.endpoint, p.instance, p.n
from json_table(?, '$[*]' columns (integration longtext path '$[0]' error on error)) as a
straight_join twinrow_seen as p on p.integration = a.integration
