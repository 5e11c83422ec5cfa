-- A key was generated that a live pair still holds: that record is gone (step 7).
update twinrow_pair set s_former = s_key, s_key = null, ver = ver + 1, cycle = ?4
where link = ?1 and s_key = ?2 and id <> ?3 returning id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases
