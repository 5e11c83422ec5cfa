insert into twinrow_cursor (link, side, position) values (?1, ?2, ?3)
on conflict (link, side) do update set position = excluded.position
