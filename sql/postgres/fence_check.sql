-- A write, not a read: a read would miss a commit in flight (rule 4).
update twinrow.fence set n = n + 1 where integration = $1::text and epoch = $2::int8
