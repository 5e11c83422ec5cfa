insert into twinrow.run (integration, id, kind, started, ended, counts) select * from unnest($1::text[], $2::int8[], $3::text[], $4::int8[], $5::int8[], $6::text[]) as v(integration, id, kind, started, ended, counts)
on conflict (integration, id) do update set ended = excluded.ended, counts = excluded.counts
