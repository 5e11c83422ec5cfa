grant usage, create on schema twinrow to twinrow_capture;
grant select, update on twinrow.collection to twinrow_capture;
grant select, insert, delete on twinrow.move to twinrow_capture;
alter function twinrow.log_emptied() owner to twinrow_capture;
do $$ declare part pg_catalog.regprocedure; begin
  for part in select p.oid from pg_catalog.pg_proc p where p.pronamespace = 'twinrow'::pg_catalog.regnamespace and p.proname = 'key_part' loop
    execute pg_catalog.format('alter function %s owner to twinrow_capture', part);
  end loop;
end $$;
