-- All of a link with reason ?2; brakes are lifted by approval only.
update twinrow_work set next_try = 0 where link = ?1 and reason = ?2
