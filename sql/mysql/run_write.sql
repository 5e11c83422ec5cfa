insert into twinrow_run (integration, id, kind, started, ended, counts)
select a.integration, a.id, a.kind, a.started, a.ended, a.counts
from json_table(?, '$[*]' columns (
    integration longtext path '$[0]' error on error, id bigint path '$[1]' error on error,
    kind longtext path '$[2]' error on error, started bigint path '$[3]' error on error,
    ended bigint path '$[4]' error on error, counts longtext path '$[5]' error on error)) as a
on duplicate key update ended = a.ended, counts = a.counts
