select p.name, p.number, p.fields
from json_table(?, '$[*]' columns (integration longtext path '$[0]' error on error)) as a
straight_join twinrow_link as p on p.integration = a.integration
