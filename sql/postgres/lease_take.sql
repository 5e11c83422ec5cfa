insert into twinrow.lease (integration, epoch, holder, until) values ($1::text, $4::int8, $2::text, $3::int8)
on conflict (integration) do update set
  epoch = greatest(twinrow.lease.epoch + 1, excluded.epoch), holder = excluded.holder, until = excluded.until
returning epoch
