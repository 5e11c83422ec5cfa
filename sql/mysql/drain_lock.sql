-- Whoever moves rows to the queue, or registers a reader, does it alone (rule 14).
select n from twinrow_drain where id = 1 for update
