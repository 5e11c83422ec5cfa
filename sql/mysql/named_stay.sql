set wait_timeout = 1800
