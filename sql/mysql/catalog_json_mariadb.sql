-- MariaDB's JSON columns: a text with a check.
select table_name, check_clause from information_schema.check_constraints
where constraint_schema = ? and check_clause like 'json_valid(`%`)'
