-- No sequence, or lastval() would change for the application (A39); no constraint that could fail its
-- statement (A42). The top-level transaction id tells what a snapshot saw, the position in the
-- write-ahead log the order (rule 7).
create table twinrow.{log} (
  xid xid8 not null default pg_catalog.pg_current_xact_id(),
  lsn pg_lsn not null default pg_catalog.pg_current_wal_insert_lsn(),
  op "char" not null,
  origin text default nullif(pg_catalog.current_setting('twinrow.origin', true), ''),
  {columns}
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);
create index {log}_xid on twinrow.{log} (xid);
alter table twinrow.{log} replica identity full;
create trigger zz_twinrow_emptied after truncate on twinrow.{log} for each statement execute function twinrow.log_emptied();
alter table twinrow.{log} enable always trigger zz_twinrow_emptied;
