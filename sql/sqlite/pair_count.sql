select count(*), coalesce(sum(s_key is null), 0), coalesce(sum(t_key is null), 0), coalesce(sum(diverged > 0), 0), coalesce(sum(status = 1), 0),
  coalesce(sum(s_key is null and t_key is null), 0)
from twinrow_pair where link = ?1 and status <> 2
