update twinrow.lease set until = $3::int8 where integration = $1::text and epoch = $2::int8
