select id, link, side, key, token, epoch, deadline, pos, sent, moved, gone from twinrow_intent where link = ?1
