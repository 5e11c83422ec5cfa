insert into twinrow.cursor (link, side, position) select * from unnest($1::int8[], $2::int8[], $3::text[]) as v(link, side, position)
on conflict (link, side) do update set position = excluded.position
