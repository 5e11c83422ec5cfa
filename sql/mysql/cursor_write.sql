insert into twinrow_cursor (link, side, position)
select a.link, a.side, a.position
from json_table(?, '$[*]' columns (
    link bigint path '$[0]' error on error, side bigint path '$[1]' error on error,
    position longtext path '$[2]' error on error)) as a
on duplicate key update position = a.position
