insert into twinrow_scan (link, part, `after`, asked)
select a.link, a.part, unhex(a.`after`), a.asked
from json_table(?, '$[*]' columns (
    link bigint path '$[0]' error on error, part bigint path '$[1]' error on error,
    `after` longtext path '$[2]' error on error, asked bigint path '$[3]' error on error)) as a
on duplicate key update part = a.part, `after` = unhex(a.`after`), asked = a.asked
