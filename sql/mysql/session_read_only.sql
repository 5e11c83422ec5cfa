select @@global.read_only
