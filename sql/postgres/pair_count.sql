select count(*), count(*) filter (where s_key is null), count(*) filter (where t_key is null), count(*) filter (where diverged > 0), count(*) filter (where status = 1),
  count(*) filter (where s_key is null and t_key is null)
from twinrow.pair where link = $1::int8 and status <> 2
