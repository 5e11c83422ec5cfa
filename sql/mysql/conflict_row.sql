-- A side at a time: together they might be more than one packet holds.
select case when ?2 = 0 then s_row else t_row end from twinrow_conflict where id = unhex(?1)
