-- As pair_update, for pairs whose keys stay.
update twinrow_pair set s_pos = ?2, t_pos = ?3, ver = ?4, cycle = ?5, diverged = ?6, bases = ?7 where id = ?1 and ver = ?4 - 1
