select id, link, side, key, token, epoch, deadline, pos, sent from twinrow_intent where link = ?1
