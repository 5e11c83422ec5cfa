-- From the newest down; `n` was given out after commit, `seq` before.
select n, seq, op, old_key, new_key, origin from twinrow_queue where collection = ? and n < ? order by n desc limit ?
