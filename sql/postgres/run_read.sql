select id, kind, started, ended, counts from twinrow.run where integration = $1::text order by id desc limit $2::int8
