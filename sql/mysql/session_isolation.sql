-- One statement, one view, and no gap locks (A6, A7, A45). The variable has other names in MariaDB.
set session transaction isolation level read committed
