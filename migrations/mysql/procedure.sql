{create} definer={definer} procedure {procedure} ({parameters}) modifies sql data
  insert into {log} (op, origin, writer, {columns}) values (p_op, @twinrow_origin, {writer}, {values})
