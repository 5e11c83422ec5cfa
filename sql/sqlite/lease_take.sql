insert into twinrow_lease (integration, epoch, holder, until) values (?1, 1, ?2, ?3)
on conflict (integration) do update set epoch = twinrow_lease.epoch + 1, holder = excluded.holder, until = excluded.until
returning epoch
