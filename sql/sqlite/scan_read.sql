select link, part, after, asked from twinrow_scan where link = ?1
