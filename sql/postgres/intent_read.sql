select id, link, side, key, token, epoch, deadline, pos, sent, moved, gone from twinrow.intent where link = $1::int8
