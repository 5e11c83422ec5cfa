-- What is long comes a side at a time.
update twinrow.conflict as c set s_row = coalesce(v.s_row, c.s_row), t_row = coalesce(v.t_row, c.t_row)
from unnest($1::bytea[], $2::text[], $3::text[]) as v(id, s_row, t_row) where c.id = v.id
