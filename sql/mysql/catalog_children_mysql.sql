-- Tables whose rows go along with deleted ones of this table, as InnoDB knows them: whoever has PROCESS is shown all.
-- (Names that InnoDB spells in its own encoding are left out: those have an @.)
select substring_index(f.for_name, '/', 1), substring_index(f.for_name, '/', -1)
from information_schema.innodb_foreign as f
where f.ref_name = concat(?, '/', ?) and f.type & 1 = 1 and f.for_name not like '%@%'
