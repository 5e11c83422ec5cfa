select case $2::int8 when 0 then s_row else t_row end from twinrow.conflict where id = $1::bytea
