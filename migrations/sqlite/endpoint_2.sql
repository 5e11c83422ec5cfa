-- Which migrations of each part this database has had; a greater number than a program knows was
-- written by a newer one.
create table if not exists twinrow_version (
  part text not null,
  version integer not null,
  primary key (part)
) without rowid;
