//! Dates, times, and moments. A naive date and time is UTC where a zone is needed (D2).

use super::{Route, Unfit};
use crate::model::Value;
use crate::model::time::{date_text, datetime_text, parse_date, parse_datetime, parse_instant, parse_time, time_text};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// What MySQL's `timestamp` holds: from 1970-01-01 00:00:01 to the end of unsigned seconds
/// (MariaDB 11.5); a server that stops at 2038 refuses the rest itself.
const MYSQL_TIMESTAMP: std::ops::RangeInclusive<i64> = 1_000_000..=4_294_967_295_999_999;

/// What MySQL's `datetime` holds: the years 0000 to 9999.
const MYSQL_DATETIME: std::ops::RangeInclusive<i64> = -62_167_219_200_000_000..=253_402_300_799_999_999;

pub(super) fn to_date(value: &Value, route: Route<'_>) -> Result<Value, Unfit> {
    match value {
        Value::Date(days) => Ok(Value::Date(*days)),
        Value::DateTime(micros) | Value::Instant(micros) => {
            if micros.rem_euclid(MICROS_PER_DAY) != 0 && !route.fits() {
                return Err(route.unfit("a time other than midnight"));
            }
            let days = i32::try_from(micros.div_euclid(MICROS_PER_DAY));
            days.map(Value::Date).map_err(|_| route.unfit("a date of this year"))
        }
        Value::Text(text) => read(text, parse_date, |days| date_text(*days), "2026-12-31", route).map(Value::Date),
        _ => Err(route.never(value)),
    }
}

pub(super) fn to_time(value: &Value, digits: u8, route: Route<'_>) -> Result<Value, Unfit> {
    let micros = match value {
        Value::Time(micros) => *micros,
        Value::Text(text) => read(text, parse_time, |micros| time_text(*micros), "23:59:59.5", route)?,
        _ => return Err(route.never(value)),
    };
    // MySQL's goes to 838 hours either way; only the same type takes those (D4).
    if !(0..=MICROS_PER_DAY).contains(&micros) && route.from.native != route.to.native {
        return Err(route.unfit("a time outside 00:00:00 to 24:00:00"));
    }
    // The digits as written: -1.5 s becomes -1 s.
    let size = micros.checked_abs().ok_or_else(|| route.unfit("a time of this size"))?;
    Ok(Value::Time(cut(size, digits, route)? * micros.signum()))
}

pub(super) fn to_datetime(value: &Value, digits: u8, route: Route<'_>) -> Result<i64, Unfit> {
    let micros = match value {
        Value::DateTime(micros) | Value::Instant(micros) => *micros,
        Value::Date(days) => midnight(*days, route)?,
        Value::Text(text) => read(text, parse_datetime, |micros| datetime_text(*micros), "2026-12-31T23:59:59.5", route)?,
        _ => return Err(route.never(value)),
    };
    in_range(cut(micros, digits, route)?, route)
}

pub(super) fn to_instant(value: &Value, digits: u8, route: Route<'_>) -> Result<i64, Unfit> {
    let micros = match value {
        Value::DateTime(micros) | Value::Instant(micros) => *micros,
        Value::Date(days) => midnight(*days, route)?,
        Value::Text(text) => read(text, parse_instant, |micros| instant_text(*micros), "2026-12-31T23:59:59.5Z", route)?,
        _ => return Err(route.never(value)),
    };
    in_range(cut(micros, digits, route)?, route)
}

/// The canonical text, if the same value can be read from it again: not so a MySQL time of 30 hours.
pub(super) fn spell(value: &Value, route: Route<'_>) -> Result<String, Unfit> {
    let (text, readable) = match value {
        Value::Date(days) => (date_text(*days), parse_date(&date_text(*days)) == Some(*days)),
        Value::Time(micros) => (time_text(*micros), parse_time(&time_text(*micros)) == Some(*micros)),
        Value::DateTime(micros) => (datetime_text(*micros), parse_datetime(&datetime_text(*micros)) == Some(*micros)),
        Value::Instant(micros) => (instant_text(*micros), parse_datetime(&datetime_text(*micros)) == Some(*micros)),
        _ => return Err(route.never(value)),
    };
    if readable { Ok(text) } else { Err(route.unfit(format!("a {} out of range", value.kind()))) }
}

/// The first and last moment the column takes, where its type's name tells it (D4). `timestamp` as an
/// instant is MySQL's: PostgreSQL's says `with time zone`.
pub(super) fn range(native: &str, instant: bool) -> Option<std::ops::RangeInclusive<i64>> {
    let name = native.split('(').next().unwrap_or(native).trim();
    match () {
        () if instant && name.eq_ignore_ascii_case("timestamp") && !native.contains("zone") => Some(MYSQL_TIMESTAMP),
        () if !instant && name.eq_ignore_ascii_case("datetime") => Some(MYSQL_DATETIME),
        () => None,
    }
}

fn in_range(micros: i64, route: Route<'_>) -> Result<i64, Unfit> {
    let instant = matches!(route.to.kind, crate::model::Kind::Instant { .. });
    match range(&route.to.native, instant) {
        Some(range) if !range.contains(&micros) => Err(route.unfit("a date of this year")),
        _ => Ok(micros),
    }
}

/// Drops the digits the column has no place for, whichever side of 1970 it is. Ourselves: MySQL rounds 23:59:59.6 into the next
/// year, MariaDB cuts, PostgreSQL rounds half up (D1).
fn cut(micros: i64, digits: u8, route: Route<'_>) -> Result<i64, Unfit> {
    let unit = 10_i64.pow(6 - u32::from(digits.min(6)));
    let rest = micros.rem_euclid(unit);
    match rest {
        0 => Ok(micros),
        _ if !route.fits() => Err(route.unfit(format!("a fraction of a second with more than {digits} digits"))),
        _ => micros.checked_sub(rest).ok_or_else(|| route.unfit("a date of this year")),
    }
}

fn midnight(days: i32, route: Route<'_>) -> Result<i64, Unfit> {
    i64::from(days).checked_mul(MICROS_PER_DAY).ok_or_else(|| route.unfit("a date of this year"))
}

fn instant_text(micros: i64) -> String {
    format!("{}Z", datetime_text(micros))
}

/// Reads a text that is spelled canonically; where the value may be made to fit, any ISO 8601
/// spelling the parser knows (a blank for the `T`, an offset for the `Z`).
fn read<T>(
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
    spell: impl Fn(&T) -> String,
    example: &str,
    route: Route<'_>,
) -> Result<T, Unfit> {
    let parsed = parse(if route.fits() { text.trim() } else { text });
    parsed.filter(|value| route.fits() || spell(value) == text).ok_or_else(|| route.misspelled(example))
}
