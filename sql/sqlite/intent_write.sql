insert into twinrow_intent (id, link, side, key, token, epoch, deadline, pos, sent, moved)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
