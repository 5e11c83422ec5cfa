insert into twinrow.collection (name, n, table_oid, log, log_oid, epoch, key, version, definition)
values ({name}, 0, {regclass}::pg_catalog.regclass, {log}, ('twinrow.' || {log})::pg_catalog.regclass, pg_catalog.gen_random_uuid()::text, {key}, {version}, '{}')
on conflict (name) do update set table_oid = excluded.table_oid, log_oid = excluded.log_oid, key = excluded.key, version = excluded.version,
  epoch = case when collection.log_oid = excluded.log_oid then collection.epoch else excluded.epoch end;
