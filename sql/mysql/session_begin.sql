-- Once per connection, as what session_names and session_isolation set, for none of it can be set together: strict (D25),
-- UTC (D2), and waits shorter than an application's patience, so that it is never the victim (rule 19).
set sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO',
  time_zone = '+00:00', autocommit = 1, foreign_key_checks = 1, unique_checks = 1, sql_auto_is_null = 0,
  sql_quote_show_create = 1, sql_safe_updates = 0, sql_select_limit = 18446744073709551615, lock_wait_timeout = 1, innodb_lock_wait_timeout = 1
