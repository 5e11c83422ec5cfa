-- The columns of a table, and what defines each: its type with the labels of an enum, its character set, and the expression of a computed
-- one. (Everything is cast: columns of the catalog do not agree on a collation.)
select ? as place, ordinal_position as number, cast(column_name as char) as name, cast(column_type as char) as type,
  cast(character_set_name as char) as charset, cast(generation_expression as char) as expression
from information_schema.columns where table_schema = ? and table_name = ?
