-- Noted by a clock that was ahead: no pause is so long. (What only an approval lifts is never due.)
update twinrow.work set next_try = $2::int8 where link = $1::int8 and next_try > $3::int8 and next_try < 9223372036854775807
