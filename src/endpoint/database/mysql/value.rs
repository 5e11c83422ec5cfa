//! Values: what a column can hold, how it is read, and how it is sent.
//!
//! Values are read by the binary protocol, as they are stored (D6). They are sent inside one JSON
//! document for a whole batch (see `session`), each as text in a fixed spelling, texts and bytes in
//! hexadecimal, and become typed by an explicit cast or by the column they are assigned to: exact for every
//! type, where a placeholder's type would depend on the driver and a JSON number's on the server.

use mysql_async::Value as Wire;

use crate::model::{Charset, Column, Kind, Value, hex, parse_decimal, time};

/// What the catalog says about a column's type.
pub(super) struct Declared<'a> {
    /// `varchar`.
    pub(super) base: &'a str,
    /// `varchar(20)`, `bigint unsigned`, `enum('a','b')`.
    pub(super) full: &'a str,
    pub(super) length: Option<u64>,
    pub(super) precision: Option<u32>,
    pub(super) scale: Option<u32>,
    pub(super) digits: u8,
    pub(super) charset: Option<&'a str>,
    /// MariaDB's `json`: a text column with a check.
    pub(super) json: bool,
}

/// What a column can hold.
pub(super) fn kind(declared: &Declared<'_>) -> Kind {
    if declared.json {
        return Kind::Json;
    }
    let unsigned = declared.full.contains("unsigned");
    match declared.base {
        // tinyint(1) too: it may hold a 2 (D8).
        "tinyint" => integer(8, unsigned),
        "smallint" => integer(16, unsigned),
        "mediumint" => integer(24, unsigned),
        "int" => integer(32, unsigned),
        "bigint" => integer(64, unsigned),
        "bit" => integer(declared.precision.unwrap_or(1), true),
        "year" => Kind::Int { min: 1901, max: 2155 },
        "decimal" => Kind::Decimal { limit: declared.precision.zip(declared.scale) },
        "float" => Kind::Float { single: true },
        "double" => Kind::Float { single: false },
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            Kind::Text { max: declared.length, padded: declared.base == "char", charset: charset(declared.charset) }
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            Kind::Bytes { max: declared.length, padded: declared.base == "binary" }
        }
        "date" => Kind::Date,
        "time" => Kind::Time { digits: declared.digits },
        "datetime" => Kind::DateTime { digits: declared.digits },
        "timestamp" => Kind::Instant { digits: declared.digits },
        "json" => Kind::JsonDoubles,
        "uuid" => Kind::Uuid,
        "enum" => Kind::Enum(labels(declared.full)),
        other => Kind::Other(other.to_owned()),
    }
}

fn integer(bits: u32, unsigned: bool) -> Kind {
    if unsigned {
        Kind::Int { min: 0, max: (1i128 << bits) - 1 }
    } else {
        Kind::Int { min: -(1i128 << (bits - 1)), max: (1i128 << (bits - 1)) - 1 }
    }
}

fn charset(name: Option<&str>) -> Charset {
    match name {
        Some("utf8mb4" | "utf16" | "utf16le" | "utf32") => Charset::Unicode,
        Some("utf8" | "utf8mb3" | "ucs2") => Charset::Basic,
        Some("latin1") => Charset::Latin1,
        // Every other character set has ASCII; what more it has is not worth a table.
        _ => Charset::Ascii,
    }
}

/// The labels of `enum('a','it''s')`.
fn labels(full: &str) -> Vec<String> {
    let Some(list) = full.strip_prefix("enum('").and_then(|rest| rest.strip_suffix("')")) else { return Vec::new() };
    let mut labels = vec![String::new()];
    let mut rest = list.chars().peekable();
    while let Some(c) = rest.next() {
        let last = labels.len() - 1;
        if c != '\'' {
            labels[last].push(c);
        } else if rest.next_if_eq(&'\'').is_some() {
            labels[last].push('\'');
        } else {
            // The end of a label: skip `,'`.
            rest.next();
            rest.next();
            labels.push(String::new());
        }
    }
    labels
}

/// The name of the type alone: `varchar` of `varchar(20) character set …`.
fn base(column: &Column) -> &str {
    let end = column.native.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(column.native.len());
    &column.native[..end]
}

/// Character set and collation, as the catalog's reader appended them to the type.
fn collation(column: &Column) -> Option<(&str, &str)> {
    let (rest, collation) = column.native.rsplit_once(" collate ")?;
    Some((rest.rsplit_once(" character set ")?.1, collation))
}

/// Whether texts that differ only in the case of letters of ASCII are equal in this column, whatever stands beside what:
/// not where a language has letters made of several (to a Dane `aA` is not `AA`), or an `i` of its own.
pub(super) fn treats_ascii_alike(column: &Column) -> bool {
    const PLAIN: [&str; 12] = [
        "general_ci",
        "general_nopad_ci",
        "unicode_ci",
        "unicode_nopad_ci",
        "unicode_520_ci",
        "unicode_520_nopad_ci",
        "0900_ai_ci",
        "0900_as_ci",
        "uca1400_ai_ci",
        "uca1400_as_ci",
        "uca1400_nopad_ai_ci",
        "uca1400_nopad_as_ci",
    ];
    collation(column).is_some_and(|(charset, collation)| {
        let rule = collation.strip_prefix(charset).unwrap_or(collation).trim_start_matches('_');
        PLAIN.contains(&rule) || collation == "latin1_swedish_ci"
    })
}

/// The value of a column as it is selected.
pub(super) fn selected(column: &Column, source: &str) -> String {
    if is_spatial(column) { format!("hex({source})") } else { source.to_owned() }
}

fn is_spatial(column: &Column) -> bool {
    matches!(&column.kind, Kind::Other(name) if name != "set" && !name.starts_with("inet"))
}

/// Whether a column's values travel in hexadecimal.
fn in_hex(column: &Column) -> bool {
    matches!(
        column.kind,
        Kind::Text { .. } | Kind::Bytes { .. } | Kind::Json | Kind::JsonDoubles | Kind::Enum(_) | Kind::Other(_) | Kind::Any
    )
}

/// `source`, a text of [`encode`]'s, as an expression to assign to the column.
pub(super) fn assigned(column: &Column, source: &str) -> String {
    match &column.kind {
        Kind::Bytes { .. } => format!("unhex({source})"),
        _ if is_spatial(column) => format!("unhex(unhex({source}))"),
        _ if in_hex(column) => format!("convert(unhex({source}) using utf8mb4)"),
        // A text assigned to a BIT would be taken for its bytes.
        Kind::Int { .. } if base(column) == "bit" => format!("cast({source} as unsigned)"),
        _ => source.to_owned(),
    }
}

/// `source` as an expression of the column's own type and collation, so that a comparison uses its index.
/// Equal under the collation is not yet the same: callers compare bytes (C6).
pub(super) fn compared(column: &Column, source: &str) -> String {
    match &column.kind {
        Kind::Int { min, .. } if *min < 0 => format!("cast({source} as signed)"),
        Kind::Int { .. } => format!("cast({source} as unsigned)"),
        Kind::Decimal { limit } => format!("cast({source} as decimal(65, {}))", limit.map_or(0, |(_, scale)| scale.min(30))),
        Kind::Float { .. } => format!("cast({source} as double)"),
        Kind::Date => format!("cast({source} as date)"),
        Kind::Time { .. } => format!("cast({source} as time(6))"),
        Kind::DateTime { .. } | Kind::Instant { .. } => format!("cast({source} as datetime(6))"),
        Kind::Text { .. } | Kind::Enum(_) => match collation(column) {
            Some(("utf8mb4", collation)) => format!("convert(unhex({source}) using utf8mb4) collate {collation}"),
            Some((charset, collation)) => {
                format!("convert(convert(unhex({source}) using utf8mb4) using {charset}) collate {collation}")
            }
            None => assigned(column, source),
        },
        _ => assigned(column, source),
    }
}

/// The type of a key's column in a log: the widest of its family, so that no key that fits the table is too
/// wide for the log, today or after a migration (A42).
pub(super) fn logged_type(column: &Column) -> String {
    match &column.kind {
        Kind::Int { .. } => "decimal(20,0)".to_owned(),
        Kind::Decimal { limit } => format!("decimal(65,{})", limit.map_or(0, |(_, scale)| scale.min(30))),
        Kind::Float { .. } => "double".to_owned(),
        Kind::Bytes { .. } => "blob".to_owned(),
        Kind::Date => "date".to_owned(),
        Kind::Time { .. } => "time(6)".to_owned(),
        Kind::DateTime { .. } => "datetime(6)".to_owned(),
        Kind::Instant { .. } => "decimal(20,6)".to_owned(),
        Kind::Uuid => "uuid".to_owned(),
        _ => "text character set utf8mb4 collate utf8mb4_bin".to_owned(),
    }
}

/// What a trigger writes into that column. Only a TIMESTAMP is not copied as it is: it would be spelled in the
/// application's time zone (A58), and two moments of an autumn night have one spelling.
pub(super) fn logged(column: &Column, source: &str) -> String {
    match &column.kind {
        Kind::Instant { .. } => format!("unix_timestamp({source})"),
        Kind::Int { .. } if base(column) == "bit" => format!("cast({source} as unsigned)"),
        _ => source.to_owned(),
    }
}

/// A log's key column as text or bytes: logs of different tables are read in one statement, whose
/// columns have one type (A9).
pub(super) fn from_log(column: &Column, source: &str) -> String {
    if matches!(column.kind, Kind::Bytes { .. }) { source.to_owned() } else { format!("cast({source} as char)") }
}

/// A value read from [`from_log`].
pub(super) fn decode_logged(column: &Column, wire: &Wire) -> Option<Value> {
    let bytes = match wire {
        Wire::NULL => return Some(Value::Null),
        Wire::Bytes(bytes) => bytes,
        _ => return None,
    };
    if let Kind::Bytes { .. } = column.kind {
        return Some(Value::Bytes(bytes.clone()));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    Some(match &column.kind {
        Kind::Int { .. } => Value::Int(text.parse().ok()?),
        Kind::Decimal { .. } => Value::Decimal(parse_decimal(text)?),
        Kind::Float { .. } => Value::Float(text.parse().ok()?),
        Kind::Date => time::parse_date(text).map_or_else(|| zero_date(text), Value::Date),
        Kind::Time { .. } => time::parse_time(text).map_or_else(|| duration(trim_fraction(text)), Value::Time),
        Kind::DateTime { .. } => time::parse_datetime(text).map_or_else(|| zero_date(trim_fraction(text)), Value::DateTime),
        Kind::Instant { .. } => match micros_of_seconds(text)? {
            0 => zero_date("0000-00-00 00:00:00"),
            micros => Value::Instant(micros),
        },
        Kind::Uuid => Value::Uuid(*uuid::Uuid::parse_str(text).ok()?.as_bytes()),
        Kind::Other(name) => Value::Other { kind: other_kind(name), text: text.to_owned() },
        _ => Value::Text(text.to_owned()),
    })
}

fn micros_of_seconds(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let fraction = format!("{fraction:0<6}");
    seconds.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction.get(..6)?.parse().ok()?)
}

fn trim_fraction(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

fn zero_date(text: impl Into<String>) -> Value {
    Value::Other { kind: "zero date", text: text.into() }
}

fn duration(text: impl Into<String>) -> Value {
    Value::Other { kind: "duration", text: text.into() }
}

fn other_kind(name: &str) -> &'static str {
    match name {
        "set" => "set",
        "inet4" | "inet6" => "inet",
        "vector" => "vector",
        _ => "geometry",
    }
}

/// A field of a row as it came from the server, or why it can't be read.
pub(super) fn decode(column: &Column, wire: Wire) -> Result<Value, String> {
    let value = match (&column.kind, wire) {
        (_, Wire::NULL) => Some(Value::Null),
        (Kind::Int { .. }, Wire::Int(value)) => Some(Value::Int(i128::from(value))),
        (Kind::Int { .. }, Wire::UInt(value)) => Some(Value::Int(i128::from(value))),
        (Kind::Int { .. }, Wire::Bytes(bits)) if bits.len() <= 8 => {
            Some(Value::Int(bits.iter().fold(0, |all, byte| all << 8 | i128::from(*byte))))
        }
        (Kind::Float { .. }, Wire::Float(value)) => Some(Value::Float(f64::from(value))),
        (Kind::Float { .. }, Wire::Double(value)) => Some(Value::Float(value)),
        (Kind::Date, Wire::Date(year, month, day, ..)) => {
            let text = format!("{year:04}-{month:02}-{day:02}");
            Some(time::parse_date(&text).map_or_else(|| zero_date(text), Value::Date))
        }
        (Kind::DateTime { .. }, Wire::Date(year, month, day, hour, minute, second, micros)) => {
            let text = datetime([year, month.into(), day.into(), hour.into(), minute.into(), second.into()], micros);
            Some(time::parse_datetime(&text).map_or_else(|| zero_date(trim_fraction(&text)), Value::DateTime))
        }
        (Kind::Instant { .. }, Wire::Date(year, month, day, hour, minute, second, micros)) => {
            let text = datetime([year, month.into(), day.into(), hour.into(), minute.into(), second.into()], micros);
            Some(time::parse_datetime(&text).map_or_else(|| zero_date(trim_fraction(&text)), Value::Instant))
        }
        (Kind::Time { .. }, Wire::Time(negative, days, hours, minutes, seconds, micros)) => {
            Some(clock(negative, days, hours, minutes, seconds, micros))
        }
        (Kind::Bytes { .. }, Wire::Bytes(bytes)) => Some(Value::Bytes(bytes)),
        (_, Wire::Bytes(bytes)) => decode_text(column, bytes),
        _ => None,
    };
    value.ok_or_else(|| format!("column {} holds what is not a {}", column.name, base(column)))
}

fn decode_text(column: &Column, bytes: Vec<u8>) -> Option<Value> {
    if let (Kind::Uuid, Ok(raw)) = (&column.kind, <[u8; 16]>::try_from(bytes.as_slice())) {
        return Some(Value::Uuid(raw));
    }
    let text = String::from_utf8(bytes).ok()?;
    Some(match &column.kind {
        Kind::Decimal { .. } => Value::Decimal(parse_decimal(&text)?),
        Kind::Text { .. } | Kind::Enum(_) | Kind::Any => Value::Text(text),
        Kind::Json | Kind::JsonDoubles => Value::Json(text),
        Kind::Uuid => Value::Uuid(*uuid::Uuid::parse_str(&text).ok()?.as_bytes()),
        Kind::Other(name) => Value::Other { kind: other_kind(name), text },
        _ => return None,
    })
}

fn datetime(parts: [u16; 6], micros: u32) -> String {
    let [year, month, day, hour, minute, second] = parts;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
}

/// A TIME is a duration of up to 838 hours either way; only what is a time of day is one (D4).
fn clock(negative: bool, days: u32, hours: u8, minutes: u8, seconds: u8, micros: u32) -> Value {
    let seconds_all = ((i64::from(days) * 24 + i64::from(hours)) * 60 + i64::from(minutes)) * 60 + i64::from(seconds);
    let micros_all = seconds_all * 1_000_000 + i64::from(micros);
    if !negative && micros_all <= 86_400_000_000 {
        return Value::Time(micros_all);
    }
    let sign = if negative { "-" } else { "" };
    let text = format!("{sign}{:02}:{minutes:02}:{seconds:02}.{micros:06}", days * 24 + u32::from(hours));
    duration(trim_fraction(&text))
}

/// A value for a column, as an element of a JSON document.
pub(super) fn encode(column: &Column, value: &Value, out: &mut String) {
    if value.is_null() {
        out.push_str("null,");
        return;
    }
    let text = match value {
        _ if in_hex(column) => match value {
            Value::Bytes(bytes) => hex(bytes),
            other => hex(other.to_text().as_bytes()),
        },
        Value::Float(value) => format!("{value:e}"),
        Value::Bool(value) => u8::from(*value).to_string(),
        Value::Instant(micros) | Value::DateTime(micros) => time::datetime_text(*micros).replace('T', " "),
        other => serde_json::Value::from(other.to_text()).to_string().trim_matches('"').to_owned(),
    };
    out.push('"');
    out.push_str(&text);
    out.push_str("\",");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(native: &str, kind: Kind) -> Column {
        Column {
            name: "c".into(),
            kind,
            native: native.into(),
            nullable: true,
            computed: false,
            has_default: false,
            numbered: false,
        }
    }

    #[test]
    fn enum_labels_are_read_with_their_quotes() {
        assert_eq!(labels("enum('a','it''s','b,c')"), ["a", "it's", "b,c"]);
        assert_eq!(labels("enum('')"), [""]);
    }

    #[test]
    fn d4_a_time_beyond_a_day_is_a_duration() {
        assert_eq!(clock(false, 0, 23, 59, 59, 5), Value::Time(86_399_000_005));
        assert_eq!(clock(true, 34, 22, 59, 59, 0), duration("-838:59:59"));
        let logged = decode_logged(&column("time", Kind::Time { digits: 0 }), &Wire::Bytes(b"-838:59:59.000000".to_vec()));
        assert_eq!(logged, Some(duration("-838:59:59")));
    }

    #[test]
    fn d8_integers_keep_their_bounds() {
        assert_eq!(integer(64, true), Kind::Int { min: 0, max: u64::MAX.into() });
        assert_eq!(integer(24, false), Kind::Int { min: -8_388_608, max: 8_388_607 });
    }

    #[test]
    fn a58_a_timestamp_key_is_logged_as_seconds() {
        let column = column("timestamp(3)", Kind::Instant { digits: 3 });
        assert_eq!(decode_logged(&column, &Wire::Bytes(b"1.500000".to_vec())), Some(Value::Instant(1_500_000)));
        assert_eq!(logged(&column, "new.`c`"), "unix_timestamp(new.`c`)");
    }

    #[test]
    fn d6_floats_travel_with_all_their_digits() {
        let mut out = String::new();
        encode(&column("double", Kind::Float { single: false }), &Value::Float(5e-324), &mut out);
        assert_eq!(out, "\"5e-324\",");
    }

    #[test]
    fn c6_a_key_is_compared_in_its_columns_own_collation() {
        let kind = Kind::Text { max: Some(20), padded: false, charset: Charset::Latin1 };
        let column = column("varchar(20) character set latin1 collate latin1_swedish_ci", kind);
        assert_eq!(
            compared(&column, "a.k0"),
            "convert(convert(unhex(a.k0) using utf8mb4) using latin1) collate latin1_swedish_ci"
        );
    }

    #[test]
    fn c7_a_collation_serves_only_if_it_knows_no_letters_of_its_own() {
        let text = |native: &str| column(native, Kind::Text { max: Some(20), padded: false, charset: Charset::Unicode });
        for (native, plain) in [
            ("varchar(20) character set utf8mb4 collate utf8mb4_0900_ai_ci", true),
            ("varchar(20) character set utf8mb4 collate utf8mb4_general_ci", true),
            ("varchar(20) character set utf8mb4 collate uca1400_as_ci", true),
            ("varchar(20) character set latin1 collate latin1_swedish_ci", true),
            ("varchar(20) character set utf8mb4 collate utf8mb4_tr_0900_ai_ci", false),
            ("varchar(20) character set utf8mb4 collate utf8mb4_danish_ci", false),
            ("varchar(20) character set utf8mb4 collate utf8mb4_swedish_ci", false),
            ("varchar(20) character set utf8mb4 collate utf8mb4_0900_as_cs", false),
            ("varchar(20)", false),
        ] {
            assert_eq!(treats_ascii_alike(&text(native)), plain, "{native}");
        }
    }
}
