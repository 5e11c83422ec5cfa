-- What no receipt proves was never written: nothing was overwritten.
delete p from json_table(?, '$[*]' columns (link bigint path '$[0]' error on error)) as a
straight_join twinrow_conflict as p on p.link = a.link and p.kept = 0
