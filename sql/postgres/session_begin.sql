-- Once per connection. A writer waits less for a lock than the server waits before it looks for a
-- deadlock, so that the application is never the victim (rule 19). row_security = off turns a
-- policy that would hide rows into an error (A63). An asynchronous commit could be undone by a crash
-- after the other side was told of it.
select pg_catalog.set_config('TimeZone', 'UTC', false), pg_catalog.set_config('DateStyle', 'ISO, YMD', false),
  pg_catalog.set_config('IntervalStyle', 'iso_8601', false), pg_catalog.set_config('bytea_output', 'hex', false),
  pg_catalog.set_config('extra_float_digits', '1', false), pg_catalog.set_config('lc_monetary', 'C', false),
  pg_catalog.set_config('search_path', '', false), pg_catalog.set_config('row_security', 'off', false),
  pg_catalog.set_config('statement_timeout', '120s', false), pg_catalog.set_config('idle_in_transaction_session_timeout', '120s', false),
  pg_catalog.set_config('lock_timeout', greatest(1, (extract(epoch from pg_catalog.current_setting('deadlock_timeout')::interval) * 800)::int8)::text, false),
  pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
  pg_catalog.set_config('default_transaction_read_only', 'off', false), pg_catalog.set_config('default_transaction_deferrable', 'off', false),
  pg_catalog.set_config('standard_conforming_strings', 'on', false), pg_catalog.set_config('jit', 'off', false),
  case when pg_catalog.current_setting('synchronous_commit') = 'off' then pg_catalog.set_config('synchronous_commit', 'on', false) end
