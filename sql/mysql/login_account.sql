-- The account the server takes this connection for: user and host. A user's name may hold an @ too.
select left(current_user(), char_length(current_user()) - char_length(substring_index(current_user(), '@', -1)) - 1),
  substring_index(current_user(), '@', -1)
