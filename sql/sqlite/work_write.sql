insert into twinrow_work (link, side, key, reason, cause, waits, attempts, next_try, cycle, since, approved)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
on conflict (link, side, key) do update set reason = excluded.reason, cause = excluded.cause, waits = excluded.waits,
  attempts = excluded.attempts, next_try = excluded.next_try, cycle = excluded.cycle, approved = excluded.approved
