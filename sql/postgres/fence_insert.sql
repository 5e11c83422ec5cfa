insert into twinrow.fence (integration, epoch, n, instance, home_n) values ($1::text, 0, 0, $2::text, 0)
on conflict (integration) do nothing
