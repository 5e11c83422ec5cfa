-- Which server this is. A standby can't be synced; its timeline changes when one takes over (A65).
select pg_catalog.current_setting('server_version_num')::int8, pg_catalog.current_setting('server_version'),
  pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('session_replication_role'),
  (select system_identifier::text from pg_catalog.pg_control_system()),
  case when not pg_catalog.pg_is_in_recovery() then pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) end,
  (select d.oid::int8 from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
