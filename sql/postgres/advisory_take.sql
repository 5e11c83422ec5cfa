-- A lock that belongs to the transaction; false: somebody else has it.
select pg_catalog.pg_try_advisory_xact_lock($1)
