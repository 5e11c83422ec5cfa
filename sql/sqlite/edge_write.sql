insert into twinrow_edge (integration, link, s_database, s_name, t_database, t_name) values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (integration, link) do nothing
