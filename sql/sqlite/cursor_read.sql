select side, position from twinrow_cursor where link = ?1
