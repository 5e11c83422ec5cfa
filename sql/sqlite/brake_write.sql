insert into twinrow_brake (link, side, kind, hash, records, pairs, at, approved)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
on conflict (link, side, kind) do update set hash = excluded.hash, records = excluded.records, pairs = excluded.pairs,
  at = excluded.at, approved = null
