-- What a person approved stays so whatever it waits for: reason 6 instead of 4.
update twinrow.work w set reason = 6, cause = 'approved', next_try = 0, approved = v.approved
from unnest((select $1::int8[]), (select $2::int8[]), (select $3::bytea[]), (select $4::bytea[])) as v(link, side, key, approved)
where w.link = v.link and w.side = v.side and w.key = v.key
