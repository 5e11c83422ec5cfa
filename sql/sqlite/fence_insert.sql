insert into twinrow_fence (integration, epoch, n, instance, home_n) values (?1, 0, 0, ?2, 0)
on conflict (integration) do nothing
