insert ignore into twinrow_edge (integration, link, s_database, s_name, t_database, t_name)
select a.integration, a.link, a.s_database, a.s_name, a.t_database, a.t_name
from json_table(?, '$[*]' columns (
    integration longtext path '$[0]' error on error, link longtext path '$[1]' error on error,
    s_database longtext path '$[2]' error on error, s_name longtext path '$[3]' error on error,
    t_database longtext path '$[4]' error on error, t_name longtext path '$[5]' error on error)) as a
