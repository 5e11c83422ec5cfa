-- What there is of ours: tables, procedures that write logs, and all triggers that write logs of this database, wherever
-- they are, with those of our names in this database that write no log at all: someone changed them. Asked at every
-- poll, and in one statement, with what tracking_tables and tracking_numbers say of the tracked tables. (Everything is
-- cast: columns of the catalog do not agree on a collation.)
select 'table' as about, cast(table_name as char) as a, null as b, null as c, null as d, null as e, null as f, null as g
from information_schema.tables where table_schema = ? and table_name like 'twinrow\_%'
union all
select 'procedure', cast(routine_name as char), cast(routine_definition as char), cast(definer as char), null, null, null, null
from information_schema.routines where routine_schema = ? and routine_name like 'twinrow\_log\_%'
union all
select 'trigger', cast(trigger_schema as char), cast(trigger_name as char), cast(event_object_table as char),
  cast(lower(concat(action_timing, ' ', event_manipulation)) as char), cast(action_statement as char), cast(sql_mode as char), cast(definer as char)
from information_schema.triggers
where trigger_name like 'twinrow\_%' and (action_statement like ? or trigger_schema = ? and action_statement not like '%.`twinrow\_log\_%')
