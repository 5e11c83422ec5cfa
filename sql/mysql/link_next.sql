select coalesce(max(number), 0) + 1 from twinrow_link
