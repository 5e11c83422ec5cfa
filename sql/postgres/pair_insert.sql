-- A pair that is known already fails all of them: to ask for conflicts costs as much as half of an insert.
copy twinrow.pair (id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases) from stdin (format binary)
