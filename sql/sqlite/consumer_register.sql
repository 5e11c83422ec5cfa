-- Whoever is registered keeps the place.
insert into twinrow_consumer (name, integration, seq) values (?1, ?2, ?3) on conflict (name, integration) do nothing
