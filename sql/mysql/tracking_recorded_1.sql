-- As tracking_recorded, before there were versions.
select 'collection' as about, cast(name as char) as a, cast(log as char) as b, cast(auto_increment as char) as c, cast(table_id as char) as d,
  '1' as e from twinrow_collection
union all
select 'recorded', cast(schema_name as char), cast(name as char), cast(collection as char), cast(body as char), null from twinrow_trigger
