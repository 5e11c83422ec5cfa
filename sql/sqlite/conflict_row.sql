select case ?2 when 0 then s_row else t_row end from twinrow_conflict where id = ?1
