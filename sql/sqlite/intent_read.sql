select id, link, side, key, token, epoch, deadline from twinrow_intent where link = ?1
