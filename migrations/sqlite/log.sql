-- The change log of one table. No type and no constraint but the number: whatever the application
-- writes, and under whatever OR clause, logging it can't fail (A16, A42).
drop table if exists {log};
create table {log} (seq integer primary key autoincrement, op, origin, {parts});
-- Its epoch: a log that was emptied or made again has another, or none (A11).
insert into {log} (op, origin) values ('E', lower(hex(randomblob(16))));
insert into twinrow_collection (name, n, log, version, pruned) values ({name}, 0, '{log}', 0, 0)
on conflict (name) do update set log = excluded.log, pruned = 0;
update twinrow_consumer set seq = 1 where name = {name};
