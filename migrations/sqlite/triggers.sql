-- Only SQL that SQLite knows since 3.7: newer syntax would make the whole file unreadable to an older
-- library (A70). Only columns of unique keys are named: all others can be dropped (A29).
-- An update that names none of them can't put a row in another's place, and pays for no look.
create trigger {trigger}_bi before insert on {table} begin {insert_probes}; end;
create trigger {trigger}_bu before update{of} on {table} begin {update_probes}; end;
create trigger {trigger}_ai after insert on {table} begin insert into {log} (op, {news}) values ('I', {new}); end;
create trigger {trigger}_au after update on {table} begin insert into {log} (op, {parts}) values ('U', {old}, {new}); end;
create trigger {trigger}_ad after delete on {table} begin insert into {log} (op, {olds}) values ('D', {old}); end;
