create definer={definer} trigger {trigger} {event} on {table} for each row
  {body}
