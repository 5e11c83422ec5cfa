select side, position from twinrow.cursor where link = $1::int8
