select p.pair
from json_table(?, '$[*]' columns (integration longtext path '$[0]' error on error)) as a
straight_join twinrow_conflict as p on p.integration = a.integration and p.kept = 0
