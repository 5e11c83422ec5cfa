select p.name, p.value
from json_table(?, '$[*]' columns (integration longtext path '$[0]' error on error)) as a
straight_join twinrow_setting as p on p.integration = a.integration
