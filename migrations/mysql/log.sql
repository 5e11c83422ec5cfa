create table if not exists {log} (
  seq bigint unsigned not null auto_increment,
  op char(1) character set ascii,
  origin varchar(255) character set utf8mb4 collate utf8mb4_bin,
  {columns},
  writer bigint unsigned,
  primary key (seq)
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin comment={comment}
