-- MySQL has no RETURNING: the second statement reads what the first, in the same transaction, holds the lock of.
insert into twinrow_lease (integration, epoch, holder, until)
select a.integration, a.lowest, a.holder, a.until
from json_table(?, '$[*]' columns (
    integration longtext path '$[0]' error on error, holder longtext path '$[1]' error on error,
    until bigint path '$[2]' error on error, lowest bigint path '$[3]' error on error)) as a
on duplicate key update epoch = greatest(twinrow_lease.epoch + 1, a.lowest), holder = a.holder, until = a.until;
select p.epoch
from json_table(?, '$[*]' columns (integration longtext path '$[0]' error on error)) as a
straight_join twinrow_lease as p on p.integration = a.integration
