insert into twinrow_run (integration, id, kind, started, ended, counts) values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (integration, id) do update set ended = excluded.ended, counts = excluded.counts
