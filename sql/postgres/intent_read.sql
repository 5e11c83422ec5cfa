select id, link, side, key, token, epoch, deadline, pos, sent from twinrow.intent where link = $1::int8
