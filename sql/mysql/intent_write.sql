insert into twinrow_intent (id, link, side, `key`, token, epoch, deadline, pos, sent, moved)
select a.id, a.link, a.side, unhex(a.`key`), a.token, a.epoch, a.deadline, a.pos, unhex(a.sent), a.moved
from json_table(?, '$[*]' columns (
    id bigint path '$[0]' error on error, link bigint path '$[1]' error on error,
    side bigint path '$[2]' error on error, `key` longtext path '$[3]' error on error,
    token longtext path '$[4]' error on error, epoch bigint path '$[5]' error on error,
    deadline bigint path '$[6]' error on error, pos bigint path '$[7]' error on error,
    sent longtext path '$[8]' error on error, moved bigint path '$[9]' error on error)) as a
