insert into twinrow_scan (link, part, after, asked) values (?1, ?2, ?3, ?4)
on conflict (link) do update set part = excluded.part, after = excluded.after, asked = excluded.asked
