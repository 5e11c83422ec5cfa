insert into twinrow.work (link, side, key, reason, cause, waits, attempts, next_try, cycle, since, approved)
select * from unnest($1::int8[], $2::int8[], $3::bytea[], $4::int8[], $5::text[], $6::bytea[], $7::int8[], $8::int8[], $9::int8[], $10::int8[], $11::bytea[]) as v(link, side, key, reason, cause, waits, attempts, next_try, cycle, since, approved)
on conflict (link, side, key) do update set reason = excluded.reason, cause = excluded.cause, waits = excluded.waits,
  attempts = excluded.attempts, next_try = excluded.next_try, cycle = excluded.cycle, approved = excluded.approved
