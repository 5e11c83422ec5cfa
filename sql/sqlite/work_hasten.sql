-- Noted by a clock that was ahead: no pause is so long. (What only an approval lifts is never due.)
update twinrow_work set next_try = ?2 where link = ?1 and next_try > ?3 and next_try < 9223372036854775807
