//! Values between Twinrow and PostgreSQL.
//!
//! Common types travel in the binary protocol. What has no place in Twinrow's types, and `numeric`,
//! travels as text, cast in the statement: the server's own text of a value under fixed settings
//! (see `session_begin`) is exact and comes back as the same value.

use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut};

use crate::model::{Charset, Column, Kind, Value, parse_decimal};

/// 2000-01-01, where PostgreSQL counts from, in days since 1970-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

type Converted<T> = std::result::Result<T, Box<dyn std::error::Error + Sync + Send>>;

/// The kind of a column from its type's name and modifier, as `pg_attribute` has them.
pub(super) fn kind_of(type_name: &str, native: &str, modifier: i32, labels: Option<Vec<String>>) -> Kind {
    let int = |min: i128, max: i128| Kind::Int { min, max };
    let digits = u8::try_from(modifier).ok().filter(|digits| *digits <= 6).unwrap_or(6);
    let text = |padded| Kind::Text { max: u64::try_from(modifier - 4).ok(), padded, charset: Charset::UnicodeNoNul };
    match type_name {
        "bool" => Kind::Bool,
        "int2" => int(i16::MIN.into(), i16::MAX.into()),
        "int4" => int(i32::MIN.into(), i32::MAX.into()),
        "int8" => int(i64::MIN.into(), i64::MAX.into()),
        "oid" => int(0, u32::MAX.into()),
        "numeric" => Kind::Decimal { limit: numeric_limit(modifier) },
        "float4" => Kind::Float { single: true },
        "float8" => Kind::Float { single: false },
        "text" | "citext" => Kind::Text { max: None, padded: false, charset: Charset::UnicodeNoNul },
        "name" => Kind::Text { max: Some(63), padded: false, charset: Charset::UnicodeNoNul },
        "varchar" => text(false),
        "bpchar" => text(true),
        "bytea" => Kind::Bytes { max: None, padded: false },
        "date" => Kind::Date,
        "time" => Kind::Time { digits },
        "timestamp" => Kind::DateTime { digits },
        "timestamptz" => Kind::Instant { digits },
        "uuid" => Kind::Uuid,
        "json" | "jsonb" => Kind::Json,
        _ => match labels {
            Some(labels) => Kind::Enum(labels),
            None => Kind::Other(native.to_owned()),
        },
    }
}

fn numeric_limit(modifier: i32) -> Option<(u32, u32)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    // The scale has eleven bits and, from version 15 on, a sign. A negative one rounds before the point.
    let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
    Some((u32::try_from(packed >> 16 & 0xffff).ok()?, u32::try_from(scale).ok()?))
}

/// The type in which a column's values travel to the server.
pub(super) fn carrier(kind: &Kind) -> &'static str {
    match kind {
        Kind::Bool => "bool",
        Kind::Int { .. } => "int8",
        Kind::Float { .. } => "float8",
        Kind::Bytes { .. } => "bytea",
        Kind::Date => "date",
        Kind::Time { .. } => "time",
        Kind::DateTime { .. } => "timestamp",
        Kind::Instant { .. } => "timestamptz",
        Kind::Uuid => "uuid",
        Kind::Decimal { .. } | Kind::Number | Kind::Text { .. } | Kind::Json | Kind::JsonDoubles => "text",
        Kind::Enum(_) | Kind::Any | Kind::Other(_) => "text",
    }
}

/// `sql`, of the column's carrier type, as the column's own type.
///
/// Never with a length: an explicit cast to `varchar(3)` cuts silently, an assignment refuses (D14).
pub(super) fn cast(column: &Column, sql: &str) -> String {
    match &column.kind {
        Kind::Decimal { .. } => format!("{sql}::pg_catalog.numeric"),
        Kind::Text { padded: true, .. } => format!("{sql}::pg_catalog.bpchar"),
        Kind::Text { .. } if column.native == "text" || column.native.starts_with("character varying") => sql.to_owned(),
        Kind::Text { .. } | Kind::Json | Kind::Enum(_) | Kind::Other(_) => format!("{sql}::{}", without_length(&column.native)),
        _ => sql.to_owned(),
    }
}

/// `character varying(3)[]` becomes `character varying[]`. Names in quotes stay as they are.
fn without_length(native: &str) -> String {
    let (mut out, mut quoted, mut depth) = (String::with_capacity(native.len()), false, 0);
    for c in native.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            _ => {}
        }
        if depth == 0 {
            out.push(c);
        }
        if c == ')' && !quoted {
            depth -= 1;
        }
    }
    // These two without a length mean a length of one.
    for (short, full) in [("character", "pg_catalog.bpchar"), ("bit", "pg_catalog.varbit")] {
        if out == short || out.strip_prefix(short).is_some_and(|rest| rest.starts_with('[')) {
            return out.replacen(short, full, 1);
        }
    }
    out
}

/// The expression that reads `sql`, a column, for [`decode`].
pub(super) fn select(column: &Column, sql: &str) -> String {
    match &column.kind {
        Kind::Decimal { .. } | Kind::Enum(_) | Kind::Any | Kind::Other(_) => format!("{sql}::pg_catalog.text"),
        Kind::Text { .. } if !column.native.starts_with("character") => format!("{sql}::pg_catalog.text"),
        _ => sql.to_owned(),
    }
}

/// Bytes of one result column; which value they are depends on the column read.
pub(super) struct Raw<'a> {
    ty: Type,
    bytes: Option<&'a [u8]>,
}

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Converted<Raw<'a>> {
        Ok(Raw { ty: ty.clone(), bytes: Some(raw) })
    }

    fn from_sql_null(ty: &Type) -> Converted<Raw<'a>> {
        Ok(Raw { ty: ty.clone(), bytes: None })
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Raw<'_> {
    /// The bytes as they came, as text.
    pub(super) fn hex(&self) -> Option<String> {
        let digit = |four: u8| char::from_digit(four.into(), 16).unwrap_or_default();
        Some(self.bytes?.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
    }
}

/// The value of a result column that was selected as [`select`] says.
///
/// # Errors
/// What is wrong with it, without the value.
pub(super) fn decode(kind: &Kind, raw: &Raw<'_>) -> std::result::Result<Value, String> {
    let Some(bytes) = raw.bytes else { return Ok(Value::Null) };
    decode_some(kind, &raw.ty, bytes).map_err(|error| error.to_string())
}

fn decode_some(kind: &Kind, ty: &Type, bytes: &[u8]) -> Converted<Value> {
    Ok(match *ty {
        Type::BOOL => Value::Bool(bool::from_sql(ty, bytes)?),
        Type::INT2 => Value::Int(i16::from_sql(ty, bytes)?.into()),
        Type::INT4 => Value::Int(i32::from_sql(ty, bytes)?.into()),
        Type::INT8 => Value::Int(i64::from_sql(ty, bytes)?.into()),
        Type::OID => Value::Int(u32::from_sql(ty, bytes)?.into()),
        Type::FLOAT4 => Value::Float(f32::from_sql(ty, bytes)?.into()),
        Type::FLOAT8 => Value::Float(f64::from_sql(ty, bytes)?),
        Type::BYTEA => Value::Bytes(bytes.to_vec()),
        Type::UUID => Value::Uuid(bytes.try_into()?),
        Type::DATE => date(i32::from_be_bytes(bytes.try_into()?)),
        Type::TIME => Value::Time(i64::from_be_bytes(bytes.try_into()?)),
        Type::TIMESTAMP => moment(i64::from_be_bytes(bytes.try_into()?), Value::DateTime),
        Type::TIMESTAMPTZ => moment(i64::from_be_bytes(bytes.try_into()?), Value::Instant),
        Type::JSON => Value::Json(utf8(bytes)?.to_owned()),
        // A version number stands in front of the document.
        Type::JSONB => Value::Json(utf8(bytes.strip_prefix(&[1]).ok_or("an unknown version of jsonb")?)?.to_owned()),
        // Blanks at the end of char(n) are padding: no operator of the server's counts them (C8).
        Type::BPCHAR => Value::Text(utf8(bytes)?.trim_end_matches(' ').to_owned()),
        Type::TEXT | Type::VARCHAR | Type::NAME => from_text(kind, utf8(bytes)?)?,
        _ => return Err(format!("type {} is not read", ty.name()).into()),
    })
}

fn utf8(bytes: &[u8]) -> Converted<&str> {
    std::str::from_utf8(bytes).map_err(|_| "text that is not UTF-8".into())
}

fn from_text(kind: &Kind, text: &str) -> Converted<Value> {
    Ok(match kind {
        Kind::Decimal { .. } => match text {
            "NaN" => Value::Other { kind: "nan", text: text.to_owned() },
            "Infinity" | "-Infinity" => infinity(text.starts_with('-')),
            _ => Value::Decimal(parse_decimal(text).ok_or("a numeric that can't be read")?),
        },
        Kind::Other(native) => Value::Other { kind: other_kind(native), text: text.to_owned() },
        _ => Value::Text(text.to_owned()),
    })
}

/// The word for a type that has no counterpart, as `docs/types.md` has it.
fn other_kind(native: &str) -> &'static str {
    if native.ends_with("[]") {
        return "array";
    }
    match without_length(native).as_str() {
        "interval" => "interval",
        "time with time zone" => "time with zone",
        "money" => "money",
        "xml" => "xml",
        "inet" | "cidr" | "macaddr" | "macaddr8" => "network address",
        "pg_catalog.varbit" | "bit varying" => "bit string",
        name if name.ends_with("range") => "range",
        name if name.ends_with("hstore") => "hstore",
        _ => "other",
    }
}

fn infinity(negative: bool) -> Value {
    Value::Other { kind: "infinity", text: if negative { "-infinity" } else { "infinity" }.to_owned() }
}

fn date(days: i32) -> Value {
    match days {
        i32::MAX => infinity(false),
        i32::MIN => infinity(true),
        _ => days.checked_add(EPOCH_DAYS).map_or_else(|| far(days.into()), Value::Date),
    }
}

fn moment(micros: i64, make: fn(i64) -> Value) -> Value {
    match micros {
        i64::MAX => infinity(false),
        i64::MIN => infinity(true),
        _ => micros.checked_add(EPOCH_MICROS).map_or_else(|| far(micros), make),
    }
}

/// The last years PostgreSQL knows do not fit into microseconds since 1970.
fn far(count: i64) -> Value {
    Value::Other { kind: "far future", text: count.to_string() }
}

/// A value as a parameter of its column's [`carrier`] type.
#[derive(Debug)]
pub(super) struct Param<'a>(pub(super) &'a Value);

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Converted<IsNull> {
        let value = self.0;
        if value.is_null() {
            return Ok(IsNull::Yes);
        }
        match (ty, value) {
            (&Type::BOOL, Value::Bool(value)) => value.to_sql(ty, out),
            (&Type::INT8, Value::Int(value)) => i64::try_from(*value).map_err(|_| "an integer is out of range")?.to_sql(ty, out),
            (&Type::FLOAT8, Value::Float(value)) => value.to_sql(ty, out),
            (&Type::BYTEA, Value::Bytes(bytes)) => bytes.to_sql(ty, out),
            (&Type::UUID, Value::Uuid(bytes)) => put(out, bytes),
            (&Type::DATE, Value::Date(days)) => {
                put(out, &days.checked_sub(EPOCH_DAYS).ok_or("a date is out of range")?.to_be_bytes())
            }
            (&Type::DATE, Value::Other { kind: "infinity", text }) => {
                put(out, &if text.starts_with('-') { i32::MIN } else { i32::MAX }.to_be_bytes())
            }
            (&Type::DATE, Value::Other { kind: "far future", text }) => put(out, &text.parse::<i32>()?.to_be_bytes()),
            (&Type::TIME, Value::Time(micros)) => put(out, &micros.to_be_bytes()),
            (&Type::TIMESTAMP, Value::DateTime(micros)) | (&Type::TIMESTAMPTZ, Value::Instant(micros)) => {
                put(out, &micros.checked_sub(EPOCH_MICROS).ok_or("a time is out of range")?.to_be_bytes())
            }
            (&(Type::TIMESTAMP | Type::TIMESTAMPTZ), Value::Other { kind: "infinity", text }) => {
                put(out, &if text.starts_with('-') { i64::MIN } else { i64::MAX }.to_be_bytes())
            }
            (&(Type::TIMESTAMP | Type::TIMESTAMPTZ), Value::Other { kind: "far future", text }) => {
                put(out, &text.parse::<i64>()?.to_be_bytes())
            }
            (&Type::TEXT, Value::Text(text) | Value::Json(text) | Value::Other { text, .. }) => text.to_sql(ty, out),
            (&Type::TEXT, Value::Decimal(_) | Value::Int(_) | Value::Uuid(_)) => value.to_text().to_sql(ty, out),
            _ => Err(format!("a value of kind {} does not go into a column of type {}", value.kind(), ty.name()).into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

fn put(out: &mut BytesMut, bytes: &[u8]) -> Converted<IsNull> {
    out.extend_from_slice(bytes);
    Ok(IsNull::No)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d14_casts_never_name_a_length() {
        for (native, cast) in [
            ("character varying(3)[]", "character varying[]"),
            ("character(3)", "pg_catalog.bpchar"),
            ("bit(4)", "pg_catalog.varbit"),
            ("bit varying(4)", "bit varying"),
            ("time(3) with time zone", "time with time zone"),
            (r#""s (x)"."t(1)""#, r#""s (x)"."t(1)""#),
        ] {
            assert_eq!(without_length(native), cast);
        }
    }

    #[test]
    fn numeric_modifiers_are_precision_and_scale() {
        assert_eq!(numeric_limit(((10 << 16) | 2) + 4), Some((10, 2)));
        assert_eq!(numeric_limit(-1), None);
        assert_eq!(numeric_limit(((3 << 16) | 0x7fe) + 4), None, "numeric(3,-2)");
    }
}
