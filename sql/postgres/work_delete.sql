delete from twinrow.work w using unnest($1::int8[], $2::int8[], $3::bytea[]) as v(link, side, key)
where w.link = v.link and w.side = v.side and w.key = v.key
