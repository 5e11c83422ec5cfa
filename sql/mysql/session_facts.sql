-- Which server this is, and whether it took the character set: some answer with latin1 and no error (D12).
select version(), @@character_set_client, @@character_set_connection, @@character_set_results,
coalesce(database(), ''), cast(@@max_allowed_packet as char)
