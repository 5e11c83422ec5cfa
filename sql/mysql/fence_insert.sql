insert ignore into twinrow_fence (integration, instance, epoch, n, home_n)
select a.integration, a.instance, 0, 0, 0
from json_table(?, '$[*]' columns (integration longtext path '$[0]' error on error, instance longtext path '$[1]' error on error)) as a
