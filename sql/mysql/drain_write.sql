update twinrow_drain set n = ? where id = 1
