-- What may assign a key: PostgreSQL only asks whether there is such a trigger, for it reads the key back in any case.
select event_object_table, lower(action_statement) from information_schema.triggers
where event_object_schema = ? and action_timing = 'BEFORE' and event_manipulation = 'INSERT'
