insert into twinrow_brake (link, side, kind, `hash`, records, pairs, at, approved)
select a.link, a.side, a.kind, unhex(a.`hash`), a.records, a.pairs, a.at, unhex(a.approved)
from json_table(?, '$[*]' columns (
    link bigint path '$[0]' error on error, side bigint path '$[1]' error on error,
    kind bigint path '$[2]' error on error, `hash` longtext path '$[3]' error on error,
    records bigint path '$[4]' error on error, pairs bigint path '$[5]' error on error,
    at bigint path '$[6]' error on error, approved longtext path '$[7]' error on error)) as a
on duplicate key update `hash` = unhex(a.`hash`), records = a.records, pairs = a.pairs, at = a.at, approved = null
