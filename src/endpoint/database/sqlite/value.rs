//! Values, between SQLite's five storage classes and ours.
//!
//! SQLite has no dates, booleans, UUIDs or decimals: a declared type is a name, and any row may hold
//! anything. So a value is read by the declared type only where it is what the name promises, and
//! as its storage class says otherwise. That never fails but for text that is not UTF-8.
//!
//! | declared type contains | kind | read as it where the value is | written as |
//! |---|---|---|---|
//! | `BOOL` | boolean | 0 or 1 | integer |
//! | `TIMESTAMPTZ`, `TIMESTAMP WITH TIME ZONE` | instant | ISO 8601 text with `Z` or an offset | text, `…Z` |
//! | `DATETIME`, `TIMESTAMP` | datetime | ISO 8601 text without zone, `T` or a blank between | text, with a blank |
//! | `DATE` | date | `YYYY-MM-DD` | text |
//! | `TIME` | time | `HH:MM[:SS[.f]]` | text |
//! | `UUID`, `GUID` | UUID | 36 characters | text, lower case |
//! | `JSON` (no `B`) | JSON | text that parses, or a number | text; a number as one |
//! | `DEC`, `NUM`, `MONEY`, to 15 digits | decimal | integer or real, by its shortest digits | integer or real |
//! | the same with more digits, or without a number of them | number | as decimal | integer or real where exact |
//! | `INT` | integer | integer | integer |
//! | `CHAR`, `CLOB`, `TEXT`, `STRING` | text | text | text |
//! | `REAL`, `FLOA`, `DOUB` | float | real | real |
//! | `BLOB`, `BINARY`, `BYTEA` | bytes | blob | blob |
//! | nothing, `ANY`, anything else | any | its storage class | its storage class |
//!
//! Whatever the name promises, its affinity does the storing: a column whose name has none of `CHAR`,
//! `CLOB`, `TEXT` and `BLOB` makes a number of a text that looks like one, `STRING` too. Such a text is
//! refused there; in a column that keeps text, `DECIMAL_TEXT` is text.

use std::str::FromStr;

use bigdecimal::{BigDecimal, ToPrimitive};
use rusqlite::types::{Value as Stored, ValueRef};

use crate::model::{Charset, Column, Kind, Value, hex, time};

/// The kind a declared type promises; see the module's table.
pub(super) fn kind(declared: &str) -> Kind {
    let name = declared.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if has(&["BOOL"]) {
        Kind::Bool
    } else if has(&["TIMESTAMPTZ", "WITH TIME ZONE"]) {
        Kind::Instant { digits: 6 }
    } else if has(&["DATETIME", "TIMESTAMP"]) {
        Kind::DateTime { digits: 6 }
    } else if has(&["DATE"]) {
        Kind::Date
    } else if has(&["TIME"]) {
        Kind::Time { digits: 6 }
    } else if has(&["UUID", "GUID", "UNIQUEIDENTIFIER"]) {
        Kind::Uuid
    } else if has(&["JSON"]) && !has(&["JSONB"]) {
        Kind::Json
    } else if has(&["DEC", "NUM", "MONEY"]) && !keeps_text(&name) {
        decimal_limit(&name).map_or(Kind::Number, |limit| Kind::Decimal { limit: Some(limit) })
    } else if has(&["INT"]) {
        Kind::Int { min: i128::from(i64::MIN), max: i128::from(i64::MAX) }
    } else if has(&["CHAR", "CLOB", "TEXT", "STRING"]) {
        // VARCHAR(10) takes any length.
        Kind::Text { max: None, padded: false, charset: Charset::Unicode }
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Kind::Float { single: false }
    } else if has(&["BLOB", "BINARY", "BYTEA"]) {
        Kind::Bytes { max: None, padded: false }
    } else {
        Kind::Any
    }
}

/// Whether a text in a column of this type stays text, whatever it looks like.
fn keeps_text(native: &str) -> bool {
    let name = native.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    !has(&["INT"]) && (name.is_empty() || has(&["CHAR", "CLOB", "TEXT", "BLOB"]))
}

/// `DECIMAL(p, s)`, where SQLite keeps all of it: a real has 15 exact digits.
fn decimal_limit(name: &str) -> Option<(u32, u32)> {
    let inside = name.split_once('(')?.1.split_once(')')?.0;
    let mut parts = inside.split(',').map(|part| part.trim().parse::<u32>());
    let precision = parts.next()?.ok()?;
    let scale = parts.next().unwrap_or(Ok(0)).ok()?;
    (precision <= 15 && scale <= 15).then_some((precision, scale))
}

/// The value of a column; an error says why it can't be read.
pub(super) fn read(kind: &Kind, stored: ValueRef<'_>) -> Result<Value, String> {
    let plain = plain(stored)?;
    Ok(promised(kind, &plain).unwrap_or(plain))
}

/// The value of a key column. It must be found again under exactly this value, so another spelling
/// of the promised kind stays what it is.
pub(super) fn read_key(kind: &Kind, stored: ValueRef<'_>) -> Value {
    let Ok(plain) = plain(stored) else {
        // It is named, but no row is ever found under it: unreadable, not lost (A74).
        return Value::Other { kind: "invalid text", text: hex(stored.as_bytes().unwrap_or_default()) };
    };
    match promised(kind, &plain) {
        Some(value) if write(kind, &value).is_ok_and(|back| ValueRef::from(&back) == stored) => value,
        _ => plain,
    }
}

fn plain(stored: ValueRef<'_>) -> Result<Value, String> {
    Ok(match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(i128::from(value)),
        ValueRef::Real(value) => Value::Float(value),
        ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).map_err(|_| "text that is not UTF-8")?.to_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    })
}

/// The value as what its column promises, if it is that.
fn promised(kind: &Kind, plain: &Value) -> Option<Value> {
    match (kind, plain) {
        (Kind::Bool, Value::Int(value @ (0 | 1))) => Some(Value::Bool(*value == 1)),
        (Kind::Decimal { .. } | Kind::Number, Value::Int(value)) => Some(Value::Decimal(BigDecimal::from(*value))),
        // The shortest digits that read back as the same float: 1.1, not 1.100000000000000088.
        (Kind::Decimal { .. } | Kind::Number, Value::Float(value)) => {
            BigDecimal::from_str(&value.to_string()).ok().map(Value::Decimal)
        }
        (Kind::Date, Value::Text(text)) => time::parse_date(text).map(Value::Date),
        (Kind::Time { .. }, Value::Text(text)) => time::parse_time(text).map(Value::Time),
        (Kind::DateTime { .. }, Value::Text(text)) => time::parse_datetime(text).map(Value::DateTime),
        (Kind::Instant { .. }, Value::Text(text)) => time::parse_instant(text).map(Value::Instant),
        (Kind::Uuid, Value::Text(text)) if text.len() == 36 => {
            uuid::Uuid::parse_str(text).ok().map(|uuid| Value::Uuid(uuid.into_bytes()))
        }
        (Kind::Json, Value::Text(text)) => {
            serde_json::from_str::<serde::de::IgnoredAny>(text).ok().map(|_| Value::Json(text.clone()))
        }
        // A document that is but a number: SQLite takes a column of this name for numbers.
        (Kind::Json, Value::Int(_)) => Some(Value::Json(plain.to_text())),
        (Kind::Json, Value::Float(value)) if value.is_finite() => Some(Value::Json(plain.to_text())),
        _ => None,
    }
}

/// What to store in a column, so that it is still that after the column's affinity was applied.
pub(super) fn stored(column: &Column, value: &Value) -> Result<Stored, String> {
    let stored = write(&column.kind, value)?;
    match &stored {
        // A column for numbers keeps a whole real as an integer, and that has no sign of its own (D6).
        Stored::Real(real) if *real == 0.0 && real.is_sign_negative() && !column.native.is_empty() => {
            Err("SQLite has no negative zero".to_owned())
        }
        Stored::Text(text) if !keeps_text(&column.native) && looks_like_number(text) => match value {
            Value::Json(_) => BigDecimal::from_str(text.trim()).ok().and_then(|number| exact_number(&number)),
            _ => None,
        }
        .ok_or_else(|| format!("a text that {} would make a number of", column.native)),
        _ => Ok(stored),
    }
}

/// At least every text of which SQLite would make a number.
fn looks_like_number(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    text.contains(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'))
        && f64::from_str(text).is_ok()
}

/// What to store for a value, affinity aside. An error says why it can't be.
pub(super) fn write(kind: &Kind, value: &Value) -> Result<Stored, String> {
    Ok(match value {
        Value::Null => Stored::Null,
        Value::Bool(value) => Stored::Integer(i64::from(*value)),
        Value::Int(value) => Stored::Integer(i64::try_from(*value).map_err(|_| "an integer beyond 64 bits")?),
        // SQLite would store NULL.
        Value::Float(value) if value.is_nan() => return Err("SQLite has no NaN".to_owned()),
        Value::Float(value) => Stored::Real(*value),
        Value::Decimal(value) if matches!(kind, Kind::Text { .. }) => Stored::Text(value.to_plain_string()),
        Value::Decimal(value) => exact_number(value).ok_or("a decimal of more digits than SQLite's numbers have")?,
        Value::DateTime(micros) => Stored::Text(time::datetime_text(*micros).replacen('T', " ", 1)),
        Value::Bytes(bytes) => Stored::Blob(bytes.clone()),
        Value::Other { kind, .. } => return Err(format!("SQLite has no {kind}")),
        Value::Text(_) | Value::Date(_) | Value::Time(_) | Value::Instant(_) | Value::Uuid(_) | Value::Json(_) => {
            Stored::Text(value.to_text())
        }
    })
}

/// The integer or real that gives this decimal back, if there is one (D7).
fn exact_number(value: &BigDecimal) -> Option<Stored> {
    if value.is_integer()
        && let Some(integer) = value.to_i64()
    {
        return Some(Stored::Integer(integer));
    }
    let real = f64::from_str(&value.to_string()).ok()?;
    let back = BigDecimal::from_str(&real.to_string()).ok()?;
    (back == *value).then_some(Stored::Real(real))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_is_a_promise_that_values_may_break() {
        let text = |kind: &Kind, text: &str| read(kind, ValueRef::Text(text.as_bytes())).unwrap();
        assert_eq!(text(&kind("DATE"), "2026-11-22"), Value::Date(20_779));
        assert_eq!(text(&kind("DATE"), "tomorrow"), Value::Text("tomorrow".into()));
        assert_eq!(text(&kind("DATETIME"), "2026-11-22T10:00:00"), text(&kind("DATETIME"), "2026-11-22 10:00:00"));
        assert_eq!(read(&kind("BOOLEAN"), ValueRef::Integer(1)).unwrap(), Value::Bool(true));
        assert_eq!(read(&kind("BOOLEAN"), ValueRef::Integer(2)).unwrap(), Value::Int(2));
        assert_eq!(text(&kind("BOOLEAN"), "true"), Value::Text("true".into()), "D9");
        assert_eq!(read(&kind("DATETIME"), ValueRef::Integer(1_700_000_000)).unwrap(), Value::Int(1_700_000_000));
        assert_eq!(text(&kind("JSON"), "{"), Value::Text("{".into()));
    }

    #[test]
    fn d7_decimals_are_what_sqlite_stored() {
        let price = kind("DECIMAL(10, 2)");
        assert_eq!(price, Kind::Decimal { limit: Some((10, 2)) });
        let of = |text: &str| Value::Decimal(BigDecimal::from_str(text).unwrap());
        assert_eq!(read(&price, ValueRef::Real(1.1)).unwrap(), of("1.1"));
        assert_eq!(write(&price, &of("1.10")).unwrap(), Stored::Real(1.1));
        assert_eq!(write(&price, &of("5.00")).unwrap(), Stored::Integer(5));
        assert!(write(&price, &of("0.12345678901234567890")).is_err(), "it would become a double");
        assert_eq!(kind("NUMERIC"), Kind::Number);
        assert_eq!(kind("DECIMAL(38, 10)"), Kind::Number);
        assert!(matches!(kind("DECIMAL_TEXT"), Kind::Text { .. }));
    }

    #[test]
    fn d7_a_text_stays_text_or_is_refused() {
        let into = |native: &str, value: Value| {
            let column = Column {
                name: "c".into(),
                kind: kind(native),
                native: native.into(),
                nullable: true,
                computed: false,
                has_default: false,
                numbered: false,
            };
            stored(&column, &value)
        };
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(into("TEXT", text("007")).unwrap(), Stored::Text("007".into()));
        assert_eq!(into("", text("007")).unwrap(), Stored::Text("007".into()));
        assert_eq!(into("STRING", text("Bond")).unwrap(), Stored::Text("Bond".into()));
        for number in ["007", " 5 ", "1e3", "-.5", "+1"] {
            assert!(into("STRING", text(number)).is_err(), "{number}");
        }
        assert_eq!(into("JSON", Value::Json("1.10".into())).unwrap(), Stored::Real(1.1));
        assert!(into("JSON", Value::Json("12345678901234567890123".into())).is_err());
    }

    #[test]
    fn c19_a_key_is_found_again_as_it_was_spelled() {
        let at = kind("DATETIME");
        let blank = b"2026-11-22 10:00:00";
        assert!(matches!(read_key(&at, ValueRef::Text(blank)), Value::DateTime(_)));
        assert!(matches!(read_key(&at, ValueRef::Text(b"2026-11-22T10:00:00")), Value::Text(_)));
        assert!(matches!(read_key(&kind("UUID"), ValueRef::Text(b"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")), Value::Text(_)));
        assert!(matches!(read_key(&kind("TEXT"), ValueRef::Text(b"\xff")), Value::Other { .. }));
    }

    #[test]
    fn d6_what_sqlite_would_lose_is_refused() {
        assert!(write(&Kind::Any, &Value::Float(f64::NAN)).is_err());
        assert!(write(&Kind::Any, &Value::Int(i128::from(u64::MAX))).is_err());
        assert_eq!(write(&Kind::Any, &Value::Float(-0.0)).unwrap(), Stored::Real(-0.0));
    }
}
