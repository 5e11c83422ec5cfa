insert into twinrow.edge (integration, link, s_database, s_name, t_database, t_name)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) as v(integration, link, s_database, s_name, t_database, t_name)
on conflict (integration, link) do nothing
