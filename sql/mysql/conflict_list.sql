select id, integration, link, pair, s_key, t_key, loser, null, null, kept, at from twinrow_conflict where integration = ?1 order by at desc, id limit ?2
