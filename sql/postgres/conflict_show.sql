select id, integration, link, pair, s_key, t_key, loser, null::text, null::text, kept, at from twinrow.conflict where integration = $1::text and id = $2::bytea
