//! JSON documents, as their servers keep them.

use std::str::FromStr;

use bigdecimal::{BigDecimal, ToPrimitive};
use serde::de::IgnoredAny;
use serde_json::{Number, Value as Document};

use super::number::shortest_double;
use super::{Route, Unfit};
use crate::model::Value;

pub(super) fn to_json(value: &Value, route: Route<'_>) -> Result<Value, Unfit> {
    let (Value::Json(text) | Value::Text(text)) = value else { return Err(route.never(value)) };
    if matches!(value, Value::Text(_)) && serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Err(route.misspelled("a JSON document"));
    }
    // PostgreSQL's jsonb stores strings, not escapes: its one forbidden character can't hide in them (D10).
    if route.to.native == "jsonb" && escapes_nul(text) {
        return Err(route.unfit("json with U+0000"));
    }
    Ok(Value::Json(text.clone()))
}

/// Whether `\u0000` stands in the text as an escape, not behind an escaped backslash.
fn escapes_nul(text: &str) -> bool {
    text.match_indices("\\u0000").any(|(at, _)| text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0)
}

/// A document for MySQL, which keeps a number as a 64-bit integer or a double: one that neither gives
/// back would be rounded in silence (D18).
pub(super) fn to_json_doubles(value: &Value, route: Route<'_>) -> Result<Value, Unfit> {
    let Value::Json(text) = to_json(value, route)? else { return Err(route.never(value)) };
    // Nested deeper than the parser goes, it is refused by the server too, by its own limit.
    let Ok(mut document) = serde_json::from_str::<Document>(&text) else { return Ok(Value::Json(text)) };
    if round(&mut document, route)? { Ok(Value::Json(document.to_string())) } else { Ok(Value::Json(text)) }
}

/// Rounds the document's numbers to what is kept of them; whether any had to be.
fn round(document: &mut Document, route: Route<'_>) -> Result<bool, Unfit> {
    let mut rounded = false;
    match document {
        Document::Number(number) => {
            let Ok(decimal) = BigDecimal::from_str(&number.to_string()) else { return Ok(false) };
            if decimal.is_integer() && (decimal.to_i64().is_some() || decimal.to_u64().is_some()) {
                return Ok(false);
            }
            let kept = shortest_double(&decimal).ok_or_else(|| route.unfit("json with a number of this size"))?;
            if kept == decimal {
                return Ok(false);
            }
            if !route.fits() {
                return Err(route.unfit("json with a number of so many digits"));
            }
            *number = Number::from_str(&kept.to_string()).map_err(|_| route.unfit("json with a number of this size"))?;
            rounded = true;
        }
        Document::Array(items) => {
            for item in items {
                rounded |= round(item, route)?;
            }
        }
        Document::Object(fields) => {
            for item in fields.values_mut() {
                rounded |= round(item, route)?;
            }
        }
        Document::Null | Document::Bool(_) | Document::String(_) => {}
    }
    Ok(rounded)
}
