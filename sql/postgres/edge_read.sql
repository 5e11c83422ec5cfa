select integration, link, s_database, s_name, t_database, t_name from twinrow.edge
