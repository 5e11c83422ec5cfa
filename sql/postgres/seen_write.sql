insert into twinrow.seen (integration, endpoint, instance, n) select * from unnest($1::text[], $2::text[], $3::text[], $4::int8[]) as v(integration, endpoint, instance, n)
on conflict (integration, endpoint) do update set instance = excluded.instance, n = excluded.n
