//! A value between two engines: the closed set of types Twinrow carries, their canonical form
//! and their fingerprints.
//!
//! An engine reads every column into exactly one of these; what has no place here travels as
//! [`Value::Other`] and fits only where the other side has the same kind. Equality is equality of
//! the canonical bytes, never SQL's `=`: `1.10` and `1.1` are one decimal, `{"a":1,"b":2}` and
//! `{"b":2,"a":1}` one document, but `'Ann'` and `'ann'` are two texts on every engine.

use std::fmt;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use sha2::{Digest, Sha256};

use super::decimal::shortest;

/// One field of one record.
#[derive(Clone)]
pub enum Value {
    /// SQL `NULL`, or a field an app left out.
    Null,
    /// A declared boolean; `tinyint(1)` is [`Value::Int`], because it may hold a 2.
    Bool(bool),
    /// Any integer up to unsigned 64 bits.
    Int(i128),
    /// An exact decimal of any length.
    Decimal(BigDecimal),
    /// A binary float. Single precision is widened; its column says so.
    Float(f64),
    /// Unicode text, bytes as stored.
    Text(String),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// Days since 1970-01-01, proleptic Gregorian.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01 00:00:00, no zone.
    DateTime(i64),
    /// Microseconds since 1970-01-01 00:00:00 UTC.
    Instant(i64),
    /// A UUID, whatever its spelling was.
    Uuid([u8; 16]),
    /// A JSON document as its engine spelled it; compared by meaning.
    Json(String),
    /// A value of a kind with no counterpart elsewhere (`infinity`, a zero date, an interval),
    /// in its engine's own text.
    Other {
        /// What it is, in the words of `docs/types.md`.
        kind: &'static str,
        /// Its canonical text.
        text: String,
    },
}

impl Value {
    /// Whether this is `NULL`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether `blanks: keep` protects the other side from this value: `NULL` or an empty text.
    pub fn is_blank(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Text(text) => text.is_empty(),
            _ => false,
        }
    }

    /// The name of the kind, for causes and errors: never the value itself.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Int(_) => "integer",
            Value::Decimal(_) => "decimal",
            Value::Float(_) => "float",
            Value::Text(_) => "text",
            Value::Bytes(_) => "bytes",
            Value::Date(_) => "date",
            Value::Time(_) => "time",
            Value::DateTime(_) => "datetime",
            Value::Instant(_) => "instant",
            Value::Uuid(_) => "uuid",
            Value::Json(_) => "json",
            Value::Other { kind, .. } => kind,
        }
    }

    /// The value as text: for kept conflicts, for apps and for text columns.
    ///
    /// The spelling is fixed and the same on every machine: ISO 8601 dates, `true`/`false`,
    /// lower-case UUIDs and hexadecimal bytes, the shortest decimal digits that read back as the
    /// same float.
    pub fn to_text(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Decimal(value) => value.to_plain_string(),
            Value::Float(value) => value.to_string(),
            Value::Text(text) | Value::Json(text) | Value::Other { text, .. } => text.clone(),
            Value::Bytes(bytes) => hex(bytes),
            Value::Date(days) => super::time::date_text(*days),
            Value::Time(micros) => super::time::time_text(*micros),
            Value::DateTime(micros) => super::time::datetime_text(*micros),
            Value::Instant(micros) => format!("{}Z", super::time::datetime_text(*micros)),
            Value::Uuid(bytes) => uuid::Uuid::from_bytes(*bytes).to_string(),
        }
    }

    /// Appends the canonical form: two values are the same exactly if these bytes are.
    pub fn canonical(&self, out: &mut impl Sink) {
        match self {
            Value::Null => out.put(&[0]),
            Value::Bool(value) => out.put(&[1, u8::from(*value)]),
            Value::Int(value) => {
                out.put(&[2]);
                out.put(&value.to_be_bytes());
            }
            Value::Decimal(value) => {
                out.put(&[3]);
                shortest(value, |text| out.put(text));
            }
            Value::Float(value) => {
                out.put(&[4]);
                out.put(&value.to_bits().to_be_bytes());
            }
            Value::Text(text) => {
                out.put(&[5]);
                out.put(text.as_bytes());
            }
            Value::Bytes(bytes) => {
                out.put(&[6]);
                out.put(bytes);
            }
            Value::Date(days) => {
                out.put(&[7]);
                out.put(&days.to_be_bytes());
            }
            Value::Time(micros) => tagged(out, 8, *micros),
            Value::DateTime(micros) => tagged(out, 9, *micros),
            Value::Instant(micros) => tagged(out, 10, *micros),
            Value::Uuid(bytes) => {
                out.put(&[11]);
                out.put(bytes);
            }
            Value::Json(text) => {
                out.put(&[12]);
                canonical_json(text, out);
            }
            Value::Other { kind, text } => {
                out.put(&[13]);
                out.put(kind.as_bytes());
                out.put(&[0]);
                out.put(text.as_bytes());
            }
        }
    }

    /// The fingerprint kept as a base.
    pub fn fingerprint(&self) -> Fingerprint {
        if self.is_null() {
            return Fingerprint::NULL;
        }
        let mut hash = Sha256::new();
        self.canonical(&mut hash);
        Fingerprint::first_of(hash)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Decimal(a), Value::Decimal(b)) => a == b,
            (Value::Instant(a), Value::Instant(b)) | (Value::DateTime(a), Value::DateTime(b)) => a == b,
            _ if std::mem::discriminant(self) != std::mem::discriminant(other) => false,
            _ => {
                let (mut a, mut b) = (Vec::new(), Vec::new());
                self.canonical(&mut a);
                other.canonical(&mut b);
                a == b
            }
        }
    }
}

impl Eq for Value {}

/// Prints the kind only: a row value never reaches a log or an error (I10).
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.kind())
    }
}

/// Where canonical bytes go.
pub trait Sink {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for Sha256 {
    fn put(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

fn tagged(out: &mut impl Sink, tag: u8, micros: i64) {
    out.put(&[tag]);
    out.put(&micros.to_be_bytes());
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Keys sorted, numbers as exact decimals; a duplicate key keeps its last value, as MySQL's JSON
/// and PostgreSQL's jsonb do. Text that is not JSON stands for itself.
fn canonical_json(text: &str, out: &mut impl Sink) {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(document) => {
            let mut spelled = Vec::with_capacity(text.len());
            write_json(&document, &mut spelled);
            out.put(&spelled);
        }
        Err(_) => out.put(text.as_bytes()),
    }
}

fn write_json(document: &serde_json::Value, out: &mut Vec<u8>) {
    use serde_json::Value as Json;
    match document {
        Json::Number(number) => {
            let text = number.to_string();
            match BigDecimal::from_str(&text) {
                Ok(decimal) => out.extend(decimal.normalized().to_string().as_bytes()),
                Err(_) => out.extend(text.as_bytes()),
            }
        }
        Json::Array(items) => {
            out.push(b'[');
            for item in items {
                write_json(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        Json::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| name.as_str());
            out.push(b'{');
            for (name, value) in sorted {
                out.extend(Json::String(name.clone()).to_string().as_bytes());
                out.push(b':');
                write_json(value, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        Json::Null | Json::Bool(_) | Json::String(_) => out.extend(document.to_string().as_bytes()),
    }
}

/// What the identity map keeps of a value: the first eight bytes of the SHA-256 of its canonical
/// form.
///
/// Eight bytes keep the map narrow, which is what bounds the speed of a drain. A changed value
/// goes unnoticed with a chance of one in 2^64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// `NULL`, which has no canonical bytes worth hashing.
    pub const NULL: Fingerprint = Fingerprint(1);

    /// The fingerprint of any canonical bytes.
    pub fn of(bytes: &[u8]) -> Fingerprint {
        Fingerprint::first_of(Sha256::new_with_prefix(bytes))
    }

    fn first_of(hash: Sha256) -> Fingerprint {
        let mut first = [0; 8];
        first.copy_from_slice(&hash.finalize()[..8]);
        Fingerprint(u64::from_be_bytes(first).max(2))
    }

    /// One fingerprint for a whole row.
    pub fn of_row(row: &[Value]) -> Fingerprint {
        let mut bytes = Vec::with_capacity(row.len() * 8);
        for value in row {
            bytes.extend(value.fingerprint().0.to_be_bytes());
        }
        Fingerprint::of(&bytes)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The mapped fields of one record on one side, in the order of its link's fields.
pub type Row = Vec<Value>;

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Value {
        Value::Decimal(BigDecimal::from_str(text).unwrap())
    }

    #[test]
    fn d7_scale_is_not_a_change() {
        assert_eq!(decimal("1.10"), decimal("1.1"));
        assert_eq!(decimal("100").fingerprint(), decimal("1e2").fingerprint());
        assert_ne!(decimal("12345678901234567890123456789.0000000001"), decimal("12345678901234567890123456789"));
    }

    #[test]
    fn d18_json_is_compared_by_meaning() {
        let a = Value::Json(r#"{"bb":1,"a":2,"n":1.10}"#.into());
        let b = Value::Json(r#"{ "a": 2, "n": 1.1, "bb": 1 }"#.into());
        assert_eq!(a, b);
        let big = |last: u8| Value::Json(format!("{{\"big\":1234567890123456789012{last}}}"));
        assert_ne!(big(1), big(2), "beyond the precision of a double");
    }

    #[test]
    fn d6_floats_are_compared_by_bits() {
        assert_eq!(Value::Float(f64::NAN), Value::Float(f64::NAN));
        assert_ne!(Value::Float(0.0), Value::Float(-0.0));
    }

    #[test]
    fn i10_debug_shows_no_value() {
        let row = vec![Value::Text("secret".into()), Value::Int(42)];
        assert_eq!(format!("{row:?}"), "[<text>, <integer>]");
    }

    #[test]
    fn null_and_empty_have_different_fingerprints() {
        assert_ne!(Value::Null.fingerprint(), Value::Text(String::new()).fingerprint());
        assert!(Value::Text(String::new()).is_blank() && Value::Null.is_blank());
    }
}
