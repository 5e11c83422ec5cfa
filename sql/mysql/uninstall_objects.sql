-- The logs that nobody but this integration (NULL: nobody at all) reads, each with the tables its triggers are on.
select c.name, c.log, t.schema_name, t.table_name
from twinrow_collection as c left join twinrow_trigger as t on t.collection = c.name
where not exists (select 1 from twinrow_consumer as k where k.collection = c.name and k.integration <> coalesce(?, k.integration))
