-- Pairs that exchange their keys: each lets go of its own, before pair_update gives it the other's.
update twinrow_pair set s_key = null, t_key = null where id = ?1 and ver = ?2 - 1
