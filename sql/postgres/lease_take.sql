insert into twinrow.lease (integration, epoch, holder, until) values ($1::text, 1, $2::text, $3::int8)
on conflict (integration) do update set epoch = twinrow.lease.epoch + 1, holder = excluded.holder, until = excluded.until
returning epoch
