-- What was deleted or changed lately, an hour a row: many small deletes are one big one (rule 15).
insert into twinrow_brake_window (link, side, kind, hour, records)
select a.link, a.side, a.kind, a.hour, a.records
from json_table(?, '$[*]' columns (
    link bigint path '$[0]' error on error, side bigint path '$[1]' error on error,
    kind bigint path '$[2]' error on error,
    hour bigint path '$[3]' error on error, records bigint path '$[4]' error on error)) as a
on duplicate key update records = twinrow_brake_window.records + a.records
