-- One creator at a time in a collection, so that "no match" still holds when the row is inserted (rule 13).
update twinrow.collection set n = n + 1 where name = $1::text
