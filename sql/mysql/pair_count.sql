select count(*), cast(coalesce(sum(s_key is null), 0) as signed), cast(coalesce(sum(t_key is null), 0) as signed),
  cast(coalesce(sum(diverged > 0), 0) as signed), cast(coalesce(sum(status = 1), 0) as signed),
  cast(coalesce(sum(s_key is null and t_key is null), 0) as signed)
from twinrow_pair where link = ?1 and status <> 2
