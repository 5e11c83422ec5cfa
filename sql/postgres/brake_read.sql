select link, side, kind, hash, records, pairs, at, approved from twinrow.brake where link = $1::int8
