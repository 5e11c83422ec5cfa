insert into twinrow.intent (id, link, side, key, token, epoch, deadline, pos, sent, moved)
select * from unnest($1::int8[], $2::int8[], $3::int8[], $4::bytea[], $5::text[], $6::int8[], $7::int8[], $8::int8[], $9::bytea[], $10::int8[]) as v(id, link, side, key, token, epoch, deadline, pos, sent, moved)
