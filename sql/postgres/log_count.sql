-- How long a log is, as far as $1.
select count(*) from (select from twinrow.{log} limit $1::int8) l
