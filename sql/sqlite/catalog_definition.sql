-- A table's definition as it was written; upper and lower case are one.
select coalesce(sql, '') from main.sqlite_master where type = 'table' and name = ?1 collate nocase
