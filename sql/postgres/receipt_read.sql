select n, id, link, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, diverged, bases, detached from twinrow.receipt
where integration = $1::text and n > $2::int8 order by n limit $3::int8
