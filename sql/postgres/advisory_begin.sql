-- A transaction that does nothing but hold a lock, for as long as an installation may take. It reads no table, so it keeps
-- nothing from being vacuumed.
begin; set local idle_in_transaction_session_timeout = '30min'
