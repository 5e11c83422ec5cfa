insert into twinrow_lease (integration, epoch, holder, until) values (?1, ?4, ?2, ?3)
on conflict (integration) do update set
  epoch = max(twinrow_lease.epoch + 1, excluded.epoch), holder = excluded.holder, until = excluded.until
returning epoch
