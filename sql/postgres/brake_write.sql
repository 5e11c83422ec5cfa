insert into twinrow.brake (link, side, kind, hash, records, pairs, at, approved)
select * from unnest($1::int8[], $2::int8[], $3::int8[], $4::bytea[], $5::int8[], $6::int8[], $7::int8[], $8::bytea[]) as v(link, side, kind, hash, records, pairs, at, approved)
on conflict (link, side, kind) do update set hash = excluded.hash, records = excluded.records, pairs = excluded.pairs,
  at = excluded.at, approved = null
