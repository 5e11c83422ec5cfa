update twinrow.work w set next_try = 0 from unnest((select $1::int8[]), (select $2::int8[]), (select $3::bytea[])) as v(link, side, key)
where w.link = v.link and w.side = v.side and w.key = v.key
