select p.id, p.integration, p.link, p.pair, p.s_key, p.t_key, p.loser, null, null, p.kept, p.at
from json_table(?, '$[*]' columns (integration longtext path '$[0]' error on error, id longtext path '$[1]' error on error)) as a
straight_join twinrow_conflict as p on p.integration = a.integration and p.id = unhex(a.id)
