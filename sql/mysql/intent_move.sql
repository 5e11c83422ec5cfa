-- The record a create under way was made from has another key, or is gone.
update json_table(?, '$[*]' columns (
    id bigint path '$[0]' error on error, `key` longtext path '$[1]' error on error,
    moved bigint path '$[2]' error on error, gone bigint path '$[3]' error on error)) as a
straight_join twinrow_intent as p on p.id = a.id
set p.`key` = unhex(a.`key`), p.moved = a.moved, p.gone = a.gone
