{create} definer={definer} procedure {procedure} ({parameters}) modifies sql data
  insert into {log} (op, origin, {columns}) values (p_op, @twinrow_origin, {values})
