-- What was deleted or changed lately, an hour a row: many small deletes are one big one (rule 15).
insert into twinrow_brake_window (link, side, kind, hour, records) values (?1, ?2, ?3, ?4, ?5)
on conflict (link, side, kind, hour) do update set records = twinrow_brake_window.records + excluded.records
