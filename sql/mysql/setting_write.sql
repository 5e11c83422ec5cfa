insert into twinrow_setting (integration, name, value)
select a.integration, a.name, a.value
from json_table(?, '$[*]' columns (
    integration longtext path '$[0]' error on error, name longtext path '$[1]' error on error,
    value longtext path '$[2]' error on error)) as a
on duplicate key update value = a.value
