select table_name, column_name, data_type, column_type, is_nullable, column_default, extra,
character_maximum_length, numeric_precision, numeric_scale, datetime_precision, character_set_name, collation_name
from information_schema.columns where table_schema = ? order by table_name, ordinal_position
