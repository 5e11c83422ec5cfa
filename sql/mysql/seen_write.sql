insert into twinrow_seen (integration, endpoint, instance, n)
select a.integration, a.endpoint, a.instance, a.n
from json_table(?, '$[*]' columns (
    integration longtext path '$[0]' error on error, endpoint longtext path '$[1]' error on error,
    instance longtext path '$[2]' error on error, n bigint path '$[3]' error on error)) as a
on duplicate key update instance = a.instance, n = a.n
