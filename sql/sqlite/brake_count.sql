-- What was deleted lately, an hour a row: many small deletes are one big one (rule 15).
insert into twinrow_brake_window (link, side, hour, records) values (?1, ?2, ?3, ?4)
on conflict (link, side, hour) do update set records = twinrow_brake_window.records + excluded.records
