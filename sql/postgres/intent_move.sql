-- The record a create under way was made from has another key, or is gone.
update twinrow.intent i set key = v.key, moved = v.moved, gone = v.gone
from unnest((select $1::int8[]), (select $2::bytea[]), (select $3::int8[]), (select $4::int8[])) as v(id, key, moved, gone)
where i.id = v.id
