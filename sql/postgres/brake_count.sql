-- What was deleted or changed lately, an hour a row: many small deletes are one big one (rule 15).
insert into twinrow.brake_window (link, side, kind, hour, records)
select * from unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[]) as v(link, side, kind, hour, records)
on conflict (link, side, kind, hour) do update set records = brake_window.records + excluded.records
