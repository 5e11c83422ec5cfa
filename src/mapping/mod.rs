//! Conversion of a value from one side's column to the other side's: pure, exact, and never silent.
//!
//! [`convert`] answers with the value exactly as the other column would store it. So "both sides
//! agree" is plain equality, and no server rounds, cuts or pads behind our back: what its column
//! can't hold is [`Unfit`] and the record is held, or, where the field says `lossy: fit`, it is made
//! to fit here, by rules that stand in `docs/types.md` and are the same on every engine (D1, D25).

mod compatible;
mod json;
mod number;
mod other;
mod text;
mod time;

use std::fmt;

use crate::model::{Column, Kind, Lossy, Value};

pub use compatible::{Compatibility, compatible, cuts_seconds};

/// Why a value can't be stored on the other side: the words for a held record, never the value (I10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// `text of 12 characters does not fit varchar(3)`.
    pub cause: String,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for Unfit {}

/// The value as column `to` stores it.
///
/// What counts is the value, not what `from` promises: a SQLite column declared INTEGER may hold a
/// text. With [`Lossy::Hold`] a value that came through comes back the same, but for a UUID spelled in
/// another way in a text column and the type of a value in a column without one; with [`Lossy::Fit`]
/// it may be rounded or cut.
///
/// # Errors
/// [`Unfit`] if the column can't hold it.
pub fn convert(value: &Value, from: &Column, to: &Column, lossy: Lossy) -> Result<Value, Unfit> {
    let route = Route { from, to, lossy };
    match (value, &to.kind) {
        (Value::Null, _) if to.nullable => Ok(Value::Null),
        (Value::Null, _) => Err(route.unfit("NULL")),
        // A text column takes any engine's special value as its text.
        (Value::Other { .. }, Kind::Text { .. }) => text::to_text(value, route),
        (Value::Other { .. }, _) | (_, Kind::Other(_)) => other::same_type(value, route),
        (_, Kind::Bool) => number::to_bool(value, route),
        (_, Kind::Int { min, max }) => number::to_int(value, *min..=*max, route),
        (_, Kind::Decimal { limit }) => number::to_decimal(value, *limit, route),
        (_, Kind::Number) => number::to_number(value, route),
        (_, Kind::Float { single }) => number::to_float(value, *single, route),
        (_, Kind::Text { .. }) => text::to_text(value, route),
        (_, Kind::Enum(labels)) => text::to_label(value, labels, route),
        (_, Kind::Json) => json::to_json(value, route),
        (_, Kind::JsonDoubles) => json::to_json_doubles(value, route),
        (_, Kind::Bytes { max, padded }) => other::to_bytes(value, *max, *padded, route),
        (_, Kind::Uuid) => other::to_uuid(value, route),
        (_, Kind::Date) => time::to_date(value, route),
        (_, Kind::Time { digits }) => time::to_time(value, *digits, route),
        (_, Kind::DateTime { digits }) => time::to_datetime(value, *digits, route).map(Value::DateTime),
        (_, Kind::Instant { digits }) => time::to_instant(value, *digits, route).map(Value::Instant),
        (_, Kind::Any) => other::to_any(value, route),
    }
}

/// Where a value comes from, where it goes, and what may happen to it on the way.
#[derive(Clone, Copy)]
struct Route<'a> {
    from: &'a Column,
    to: &'a Column,
    lossy: Lossy,
}

impl Route<'_> {
    /// Whether the value may be rounded or cut.
    fn fits(self) -> bool {
        self.lossy == Lossy::Fit
    }

    /// `what` is too long, too large, too precise.
    fn unfit(self, what: impl fmt::Display) -> Unfit {
        Unfit { cause: format!("{what} does not fit {}", self.type_name()) }
    }

    /// There is no conversion between these kinds.
    fn never(self, value: &Value) -> Unfit {
        Unfit { cause: format!("{} can't become {}", value.kind(), self.type_name()) }
    }

    /// A text that is not how Twinrow spells a value of the column's kind.
    fn misspelled(self, example: &str) -> Unfit {
        Unfit { cause: format!("text that is not spelled like {example} does not fit {}", self.type_name()) }
    }

    fn type_name(&self) -> &str {
        if self.to.native.is_empty() { word(&self.to.kind) } else { &self.to.native }
    }
}

/// A kind in the words of `docs/types.md`.
fn word(kind: &Kind) -> &str {
    match kind {
        Kind::Bool => "boolean",
        Kind::Int { .. } => "integer",
        Kind::Decimal { .. } => "decimal",
        Kind::Number => "number",
        Kind::Float { .. } => "float",
        Kind::Text { .. } => "text",
        Kind::Bytes { .. } => "bytes",
        Kind::Date => "date",
        Kind::Time { .. } => "time",
        Kind::DateTime { .. } => "datetime",
        Kind::Instant { .. } => "instant",
        Kind::Uuid => "uuid",
        Kind::Json | Kind::JsonDoubles => "json",
        Kind::Enum(_) => "enum",
        Kind::Any => "any value",
        Kind::Other(name) => name,
    }
}

#[cfg(test)]
mod tests;
