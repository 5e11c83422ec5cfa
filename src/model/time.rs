//! Civil time as text and back, for every year a database can hold.
//!
//! The calendar libraries stop at year 9999; PostgreSQL goes from 4713 BC to 294276 AD. So the
//! values are plain counts of days and microseconds (see [`Value`](super::Value)), and only the
//! spelling is done here: ISO 8601 with astronomical years (`-0043` is 44 BC).

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// `2026-11-22` from days since 1970-01-01.
pub fn date_text(days: i32) -> String {
    let (year, month, day) = civil(i64::from(days));
    if (0..=9999).contains(&year) { format!("{year:04}-{month:02}-{day:02}") } else { format!("{year:+05}-{month:02}-{day:02}") }
}

/// `13:45:00.5` from microseconds since midnight; no trailing zeros.
pub fn time_text(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let fraction = micros.rem_euclid(1_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 {
        return clock;
    }
    let digits = format!("{fraction:06}");
    format!("{clock}.{}", digits.trim_end_matches('0'))
}

/// `2026-11-22T13:45:00.5` from microseconds since the epoch.
pub fn datetime_text(micros: i64) -> String {
    let days = micros.div_euclid(MICROS_PER_DAY);
    let date = date_text(i32::try_from(days).unwrap_or(i32::MAX));
    format!("{date}T{}", time_text(micros.rem_euclid(MICROS_PER_DAY)))
}

/// Days since 1970-01-01 from `2026-11-22`; `None` for what is no date (`2026-02-31`).
pub fn parse_date(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (if text.starts_with('-') { -1 } else { 1 }, rest),
        None => (1, text),
    };
    let mut parts = digits.split('-');
    let year: i64 = number(parts.next()?, 4..=6)?;
    let month: i64 = number(parts.next()?, 2..=2)?;
    let day: i64 = number(parts.next()?, 2..=2)?;
    if parts.next().is_some() {
        return None;
    }
    let days = days_from_civil(sign * year, month, day)?;
    i32::try_from(days).ok()
}

/// Microseconds since midnight from `13:45:00.5`; more than six fractional digits are refused,
/// not cut.
pub fn parse_time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let hours: i64 = number(parts.next()?, 2..=2)?;
    let minutes: i64 = number(parts.next()?, 2..=2)?;
    let seconds: i64 = parts.next().map_or(Some(0), |part| number(part, 2..=2))?;
    if parts.next().is_some() || hours > 24 || minutes > 59 || seconds > 59 || fraction.len() > 6 {
        return None;
    }
    let micros =
        if fraction.is_empty() { 0 } else { number(fraction, 1..=6)? * 10_i64.pow(6 - u32::try_from(fraction.len()).ok()?) };
    let total = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros;
    (total <= MICROS_PER_DAY).then_some(total)
}

/// Microseconds since the epoch from `2026-11-22T13:45:00.5` or with a blank in place of the `T`.
pub fn parse_datetime(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    i64::from(parse_date(date)?).checked_mul(MICROS_PER_DAY)?.checked_add(parse_time(time)?)
}

/// Microseconds since the epoch, UTC, from a date and time with `Z` or an offset (`+02:00`,
/// `+0200`, `+02`).
pub fn parse_instant(text: &str) -> Option<i64> {
    if let Some(utc) = text.strip_suffix(['Z', 'z']) {
        return parse_datetime(utc);
    }
    let at = text.rfind(['+', '-']).filter(|at| *at > 10)?;
    let (local, offset) = text.split_at(at);
    let digits: String = offset[1..].chars().filter(|c| *c != ':').collect();
    let hours: i64 = number(digits.get(..2)?, 2..=2)?;
    let minutes: i64 = match digits.len() {
        2 => 0,
        4 => number(digits.get(2..)?, 2..=2)?,
        _ => return None,
    };
    let micros = (hours * 60 + minutes) * 60_000_000;
    let local = parse_datetime(local)?;
    if offset.starts_with('-') { local.checked_add(micros) } else { local.checked_sub(micros) }
}

fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    (digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Howard Hinnant's `civil_from_days`, exact for every `i64` in reach.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted_year = year - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    let days = era * 146_097 + of_era - 719_468;
    (civil(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_round_trip() {
        for text in ["1970-01-01", "2026-11-22", "2000-02-29", "0001-01-01", "9999-12-31", "-0043-03-15", "+294276-12-31"] {
            assert_eq!(date_text(parse_date(text).unwrap()), text);
        }
        assert_eq!(parse_date("1970-01-02"), Some(1));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["2026-02-31", "0000-00-00", "2026-13-01", "2026-1-1", "today", "2026-01-01-01", ""] {
            assert_eq!(parse_date(text), None, "{text}");
        }
        assert_eq!(parse_time("23:59:60"), None);
        assert_eq!(parse_time("12:00:00.1234567"), None, "a seventh digit would be cut");
    }

    #[test]
    fn d2_instants_are_utc() {
        let utc = parse_instant("2026-11-22T12:00:00Z");
        assert_eq!(parse_instant("2026-11-22T14:00:00+02:00"), utc);
        assert_eq!(parse_instant("2026-11-22 07:30:00-0430"), utc);
        assert_eq!(parse_instant("2026-11-22T12:00:00"), None, "no zone is no instant");
        assert_eq!(datetime_text(utc.unwrap()), "2026-11-22T12:00:00");
        assert_eq!(datetime_text(-1), "1969-12-31T23:59:59.999999");
    }
}
