select count(*) from (select 1 from {log} where op <> 'E' limit ?) as l
