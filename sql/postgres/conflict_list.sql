select id, integration, link, pair, s_key, t_key, loser, null::text, null::text, kept, at from twinrow.conflict where integration = $1::text order by at desc, id limit $2::int8
