-- What waits for a person is shown as it was last seen.
insert into twinrow_conflict (id, integration, link, pair, s_key, t_key, loser, s_row, t_row, kept, at)
select unhex(a.id), a.integration, a.link, a.pair, unhex(a.s_key), unhex(a.t_key), a.loser, a.s_row, a.t_row, a.kept, a.at
from json_table(?, '$[*]' columns (
    id longtext path '$[0]' error on error, integration longtext path '$[1]' error on error,
    link bigint path '$[2]' error on error, pair bigint path '$[3]' error on error,
    s_key longtext path '$[4]' error on error, t_key longtext path '$[5]' error on error,
    loser bigint path '$[6]' error on error, s_row longtext path '$[7]' error on error,
    t_row longtext path '$[8]' error on error, kept bigint path '$[9]' error on error,
    at bigint path '$[10]' error on error)) as a
on duplicate key update s_key = unhex(a.s_key), t_key = unhex(a.t_key), pair = a.pair, s_row = a.s_row, t_row = a.t_row, at = a.at
