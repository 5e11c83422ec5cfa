delete p from json_table(?, '$[*]' columns (link bigint path '$[0]' error on error, side bigint path '$[1]' error on error,
  kind bigint path '$[2]' error on error)) as a
straight_join twinrow_brake_window as p force index (primary) on p.link = a.link and p.side = a.side and p.kind = a.kind
