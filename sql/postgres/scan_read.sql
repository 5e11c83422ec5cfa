select link, part, after, asked from twinrow.scan where link = $1::int8
