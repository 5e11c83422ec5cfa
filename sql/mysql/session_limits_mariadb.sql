set wait_timeout = 60, idle_transaction_timeout = 30, max_statement_time = 60
