-- Each record of a change rewrites its pair: with half a page free, next to the old row, and no index touched (HOT).
alter table twinrow.pair set (fillfactor = 50);
