select id, link, side, key, token, epoch, deadline from twinrow.intent where link = $1::int8
