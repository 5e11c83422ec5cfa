select link, side, kind, hash, records, pairs, at, approved from twinrow_brake where link = ?1
