select seq from {log} order by seq desc limit 1
