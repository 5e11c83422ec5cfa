//! Bytes, UUIDs, columns that take anything, and types without a counterpart.

use super::{Route, Unfit, text};
use crate::model::{Kind, Value};

pub(super) fn to_bytes(value: &Value, max: Option<u64>, padded: bool, route: Route<'_>) -> Result<Value, Unfit> {
    let mut bytes = match value {
        Value::Bytes(bytes) => bytes.clone(),
        Value::Uuid(bytes) => bytes.to_vec(),
        _ => return Err(route.never(value)),
    };
    let Some(max) = max else { return Ok(Value::Bytes(bytes)) };
    let length = bytes.len() as u64;
    // A UUID that is cut or padded is none.
    let may_fit = route.fits() && matches!(value, Value::Bytes(_));
    if length == max || (length < max && !padded) {
        return Ok(Value::Bytes(bytes));
    }
    if !may_fit {
        return Err(route.unfit(format!("{} of {length} bytes", value.kind())));
    }
    bytes.resize(usize::try_from(max).unwrap_or(usize::MAX), 0);
    Ok(Value::Bytes(bytes))
}

pub(super) fn to_uuid(value: &Value, route: Route<'_>) -> Result<Value, Unfit> {
    match value {
        Value::Uuid(bytes) => Ok(Value::Uuid(*bytes)),
        Value::Bytes(bytes) => match bytes.as_slice().try_into() {
            Ok(bytes) => Ok(Value::Uuid(bytes)),
            Err(_) => Err(route.unfit(format!("bytes of length {}", bytes.len()))),
        },
        // Any spelling is the same UUID (C18).
        Value::Text(text) => match uuid::Uuid::parse_str(text.trim_end_matches(' ')) {
            Ok(uuid) => Ok(Value::Uuid(uuid.into_bytes())),
            Err(_) => Err(route.misspelled("00000000-0000-0000-0000-000000000000")),
        },
        _ => Err(route.never(value)),
    }
}

/// A column without a type stores what SQLite stores: integers of 64 bits, doubles, text and bytes;
/// the rest becomes its canonical text. A decimal too: as a number it would become a double (D7).
pub(super) fn to_any(value: &Value, route: Route<'_>) -> Result<Value, Unfit> {
    match value {
        Value::Bool(value) => Ok(Value::Int(i128::from(*value))),
        Value::Int(number) if i64::try_from(*number).is_ok() => Ok(Value::Int(*number)),
        Value::Float(float) if float.is_nan() => Err(route.unfit("NaN")),
        Value::Float(_) | Value::Text(_) | Value::Bytes(_) => Ok(value.clone()),
        _ => text::spell(value, route).map(Value::Text),
    }
}

/// What has no counterpart (an interval, `infinity`, a zero date) goes only where the very same type
/// is: the same kind under the same name of its engine.
pub(super) fn same_type(value: &Value, route: Route<'_>) -> Result<Value, Unfit> {
    match (&route.from.kind, &route.to.kind) {
        (_, Kind::Any) => text::spell(value, route).map(Value::Text),
        (Kind::Other(from), Kind::Other(to)) if from == to => Ok(value.clone()),
        (from, to) if from == to && route.from.native == route.to.native => Ok(value.clone()),
        _ => Err(Unfit { cause: format!("{} has no counterpart in {}", value.kind(), route.type_name()) }),
    }
}
