//! A record's key at one endpoint, and its compact, self-describing bytes for the identity map.

use std::fmt;

use smallvec::SmallVec;

use super::Value;
use super::decimal::{parse_decimal, shortest};

/// The values of a record's key columns, in the order of its table's primary key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub Vec<Value>);

/// A [`Key`] as the state tables hold it: equal keys have equal bytes, on every engine and under
/// every collation (C6), and no two different keys do (A61).
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyBytes(Bytes);

/// A key is copied many times on its way through a batch: numbers stand in place, without memory of their own.
type Bytes = SmallVec<[u8; 16]>;

impl Key {
    /// A key of one integer, the common case.
    pub fn int(value: i64) -> Key {
        Key(vec![Value::Int(i128::from(value))])
    }

    /// The bytes for the map.
    ///
    /// Each part is a tag and its content; what has no fixed length carries it in front. Integers
    /// take as few bytes as they need: the map's indexes are most of what a drain writes.
    pub fn encode(&self) -> KeyBytes {
        let mut out = Bytes::new();
        for value in &self.0 {
            encode_part(value, &mut out);
        }
        KeyBytes(out)
    }
}

/// Shows the key as a person types it, parts joined by commas: keys may be shown, values may not.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, value) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            f.write_str(&value.to_text())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decode() {
            Some(key) => write!(f, "{key:?}"),
            None => f.write_str("Key(?)"),
        }
    }
}

impl KeyBytes {
    /// The bytes, as the state's tables hold them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key again, or `None` for bytes no [`Key::encode`] made.
    pub fn decode(&self) -> Option<Key> {
        let mut rest = self.0.as_slice();
        let mut parts = Vec::with_capacity(1);
        while !rest.is_empty() {
            parts.push(decode_part(&mut rest)?);
        }
        Some(Key(parts))
    }
}

/// Bytes that [`Key::encode`] made, read again.
impl From<&[u8]> for KeyBytes {
    fn from(bytes: &[u8]) -> KeyBytes {
        KeyBytes(Bytes::from_slice(bytes))
    }
}

const NULL: u8 = 0;
const BOOL: u8 = 1;
const DECIMAL: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;
const BYTES: u8 = 6;
const DATE: u8 = 7;
const TIME: u8 = 8;
const DATETIME: u8 = 9;
const INSTANT: u8 = 10;
const UUID: u8 = 11;
const OTHER: u8 = 13;
/// Integers: this plus the number of bytes that follow (0 to 16).
const INT: u8 = 32;

fn encode_part(value: &Value, out: &mut Bytes) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(value) => out.extend_from_slice(&[BOOL, u8::from(*value)]),
        Value::Int(value) => encode_int(*value, out),
        Value::Decimal(value) => shortest(value, |text| sized(out, DECIMAL, text)),
        Value::Float(value) => {
            out.push(FLOAT);
            out.extend_from_slice(&value.to_bits().to_be_bytes());
        }
        Value::Text(text) | Value::Json(text) => sized(out, TEXT, text.as_bytes()),
        Value::Bytes(bytes) => sized(out, BYTES, bytes),
        Value::Date(days) => fixed(out, DATE, i64::from(*days)),
        Value::Time(micros) => fixed(out, TIME, *micros),
        Value::DateTime(micros) => fixed(out, DATETIME, *micros),
        Value::Instant(micros) => fixed(out, INSTANT, *micros),
        Value::Uuid(bytes) => {
            out.push(UUID);
            out.extend_from_slice(bytes);
        }
        Value::Other { text, .. } => sized(out, OTHER, text.as_bytes()),
    }
}

fn encode_int(value: i128, out: &mut Bytes) {
    let bytes = value.to_be_bytes();
    let sign = if value < 0 { 0xff } else { 0 };
    let mut skip = bytes.iter().take_while(|b| **b == sign).count();
    // The first kept bit is the sign.
    if skip > 0 && (skip == 16 || (bytes[skip] ^ sign) & 0x80 != 0) && value != 0 {
        skip -= 1;
    }
    out.push(INT + (16 - skip) as u8);
    out.extend_from_slice(&bytes[skip..]);
}

fn fixed(out: &mut Bytes, tag: u8, value: i64) {
    out.push(tag);
    out.extend_from_slice(&value.to_be_bytes());
}

fn sized(out: &mut Bytes, tag: u8, content: &[u8]) {
    out.push(tag);
    let mut length = content.len();
    while length >= 0x80 {
        out.push((length as u8 & 0x7f) | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(content);
}

fn decode_part(rest: &mut &[u8]) -> Option<Value> {
    let tag = take(rest, 1)?[0];
    Some(match tag {
        NULL => Value::Null,
        BOOL => Value::Bool(take(rest, 1)?[0] != 0),
        FLOAT => Value::Float(f64::from_bits(u64::from_be_bytes(take(rest, 8)?.try_into().ok()?))),
        DATE => Value::Date(i32::try_from(take_i64(rest)?).ok()?),
        TIME => Value::Time(take_i64(rest)?),
        DATETIME => Value::DateTime(take_i64(rest)?),
        INSTANT => Value::Instant(take_i64(rest)?),
        UUID => Value::Uuid(take(rest, 16)?.try_into().ok()?),
        DECIMAL => Value::Decimal(parse_decimal(take_text(rest)?)?),
        TEXT => Value::Text(take_text(rest)?.to_owned()),
        OTHER => Value::Other { kind: "key", text: take_text(rest)?.to_owned() },
        BYTES => Value::Bytes(take_sized(rest)?.to_vec()),
        INT..=48 => {
            let bytes = take(rest, usize::from(tag - INT))?;
            let sign = if bytes.first().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
            let mut wide = [sign; 16];
            wide[16 - bytes.len()..].copy_from_slice(bytes);
            Value::Int(i128::from_be_bytes(wide))
        }
        _ => return None,
    })
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(n)?;
    *rest = tail;
    Some(head)
}

fn take_i64(rest: &mut &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(take(rest, 8)?.try_into().ok()?))
}

fn take_sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0usize;
    for shift in (0..35).step_by(7) {
        let byte = take(rest, 1)?[0];
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return take(rest, length);
        }
    }
    None
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_sized(rest)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(|v| Value::Int(i128::from(v))),
            any::<u64>().prop_map(|v| Value::Int(i128::from(v))),
            (-300i64..300).prop_map(|v| Value::Int(i128::from(v))),
            ".*".prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..200).prop_map(Value::Bytes),
            any::<[u8; 16]>().prop_map(Value::Uuid),
            any::<i64>().prop_map(Value::Instant),
        ]
    }

    proptest! {
        #[test]
        fn c19_every_key_comes_back(parts in proptest::collection::vec(part(), 1..4)) {
            let key = Key(parts);
            prop_assert_eq!(key.encode().decode(), Some(key));
        }

        #[test]
        fn a61_different_keys_have_different_bytes(a in proptest::collection::vec(part(), 1..3), b in proptest::collection::vec(part(), 1..3)) {
            prop_assert_eq!(Key(a.clone()).encode() == Key(b.clone()).encode(), a == b);
        }
    }

    #[test]
    fn small_integers_take_few_bytes() {
        for (value, length) in [(0, 1), (1, 2), (-1, 2), (127, 2), (128, 3), (100_000, 4), (i64::MAX, 9)] {
            assert_eq!(Key::int(value).encode().as_bytes().len(), length, "{value}");
        }
    }

    #[test]
    fn a61_delimiters_do_not_collide() {
        let text = |parts: [&str; 2]| Key(parts.map(|p| Value::Text(p.into())).to_vec()).encode();
        assert_ne!(text(["1", "2|3"]), text(["1|2", "3"]));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert_eq!(KeyBytes::from(&[200][..]).decode(), None);
        assert_eq!(KeyBytes::from(&[TEXT, 5, b'a'][..]).decode(), None);
    }
}
