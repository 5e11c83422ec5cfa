-- MySQL bounds statements that read only; those that write are bounded by the lock time-outs.
set wait_timeout = 60, max_execution_time = 60000, information_schema_stats_expiry = 0
