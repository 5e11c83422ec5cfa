-- What was recorded when it was installed. One statement, with tracking_unmarked for each log.
select 'collection' as about, cast(name as char) as a, cast(log as char) as b, cast(auto_increment as char) as c, cast(table_id as char) as d,
  cast(version as char) as e from twinrow_collection
union all
select 'recorded', cast(schema_name as char), cast(name as char), cast(collection as char), cast(body as char), null from twinrow_trigger
