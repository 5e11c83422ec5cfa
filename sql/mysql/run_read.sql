select id, kind, started, ended, counts from twinrow_run where integration = ?1 order by id desc limit ?2
