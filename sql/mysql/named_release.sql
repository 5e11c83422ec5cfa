select cast(release_lock(?) as char)
