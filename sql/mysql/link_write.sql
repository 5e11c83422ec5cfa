insert into twinrow_link (integration, name, number, fields)
select a.integration, a.name, a.number, a.fields
from json_table(?, '$[*]' columns (
    integration longtext path '$[0]' error on error, name longtext path '$[1]' error on error,
    number bigint path '$[2]' error on error, fields longtext path '$[3]' error on error)) as a
on duplicate key update fields = a.fields
