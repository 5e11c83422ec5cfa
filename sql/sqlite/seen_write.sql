insert into twinrow_seen (integration, endpoint, instance, n) values (?1, ?2, ?3, ?4)
on conflict (integration, endpoint) do update set instance = excluded.instance, n = excluded.n
