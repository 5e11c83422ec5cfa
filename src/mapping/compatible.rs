//! What two columns have in common, before any value is seen: for `init`, `check` and the refusal of
//! a mapping that can't work (D19).

use super::{Route, number, text, time, word};
use crate::model::{Charset, Column, Kind, Lossy, Value};

/// How well the values of one column fit another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compatibility {
    /// Every value fits and comes back the same; only NaN, infinities, zero dates and the like may be held.
    Exact,
    /// Some values don't fit: which, in words. They are held, or with `lossy: fit` made to fit.
    Lossy(String),
    /// No value can be converted; why, in words.
    Never(String),
}

use Compatibility::{Exact, Never};

/// How well the values of column `from` fit column `to`, in this direction.
pub fn compatible(from: &Column, to: &Column) -> Compatibility {
    let kinds = kinds(from, to);
    match kinds {
        Exact if from.nullable && !to.nullable => lossy("NULL is held: the other column is NOT NULL"),
        Compatibility::Lossy(why) if from.nullable && !to.nullable => Compatibility::Lossy(format!("{why}; NULL is held")),
        _ => kinds,
    }
}

fn kinds(from: &Column, to: &Column) -> Compatibility {
    match (&from.kind, &to.kind) {
        (Kind::Other(a), Kind::Other(b)) if a == b => Exact,
        (Kind::Other(_), Kind::Text { .. } | Kind::Any) => {
            exact_if(length_fits(from, to), "texts longer than the column are held")
        }
        (Kind::Other(_), _) | (_, Kind::Other(_)) => never(from, to),
        (Kind::Any, _) | (_, Kind::Any) => any(to),
        (_, Kind::Bool | Kind::Int { .. } | Kind::Decimal { .. } | Kind::Number | Kind::Float { .. }) => numbers(from, to),
        (_, Kind::Text { .. } | Kind::Enum(_) | Kind::Json | Kind::JsonDoubles) => texts(from, to),
        (_, Kind::Bytes { .. } | Kind::Uuid) => bytes(from, to),
        (_, Kind::Date | Kind::Time { .. } | Kind::DateTime { .. } | Kind::Instant { .. }) => times(from, to),
    }
}

fn any(to: &Column) -> Compatibility {
    match to.kind {
        Kind::Any => Exact,
        _ => Compatibility::Lossy(format!("a value that is no {} is held", word(&to.kind))),
    }
}

fn numbers(from: &Column, to: &Column) -> Compatibility {
    match (&from.kind, &to.kind) {
        (Kind::Bool, Kind::Bool) => Exact,
        (Kind::Bool, Kind::Int { min, max }) if *min <= 0 && *max >= 1 => Exact,
        (Kind::Int { min, max }, Kind::Bool) => exact_if(*min >= 0 && *max <= 1, "integers other than 0 and 1 are held"),
        (Kind::Int { min, max }, Kind::Int { .. } | Kind::Decimal { .. }) => {
            exact_if(both_fit(*min, *max, from, to), "integers out of the other column's range are held")
        }
        (Kind::Int { min, max }, Kind::Number) => {
            let whole = *min >= i128::from(i64::MIN) && *max <= i128::from(i64::MAX);
            exact_if(whole, "integers beyond 64 bits are held")
        }
        (Kind::Decimal { limit }, Kind::Number) => {
            exact_if(matches!(limit, Some((p, _)) if *p <= 15), "decimals of more digits than a double has are held")
        }
        (Kind::Number, Kind::Number) => Exact,
        (Kind::Number, Kind::Int { .. }) => lossy("decimals with a fraction or out of the other column's range are held"),
        (Kind::Number, Kind::Decimal { limit }) => exact_if(limit.is_none(), "decimals with more digits are held"),
        (Kind::Number, Kind::Float { single }) => lossy(if *single {
            "decimals of more digits than the float has are held"
        } else {
            "integers of more digits than the float has are held"
        }),
        (Kind::Float { .. }, Kind::Number) => lossy("a negative zero is held"),
        (Kind::Int { min, max }, Kind::Float { single }) => {
            let whole = if *single { 1 << 24 } else { 1_i128 << 53 };
            exact_if(*min >= -whole && *max <= whole, "integers of more digits than the float has are held")
        }
        (Kind::Decimal { limit }, Kind::Int { min, max }) => exact_if(
            matches!(limit, Some((p, 0)) if *p < 38 && *min <= 1 - 10_i128.pow(*p) && *max >= 10_i128.pow(*p) - 1),
            "decimals with a fraction or out of the other column's range are held",
        ),
        (Kind::Decimal { limit: from }, Kind::Decimal { limit: to }) => exact_if(
            match (from, to) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some((p, s)), Some((q, t))) => s <= t && i64::from(*p) - i64::from(*s) <= i64::from(*q) - i64::from(*t),
            },
            "decimals with more digits are held",
        ),
        // What any double or single gives back, and what a scale must not exceed to stay normal.
        (Kind::Decimal { limit }, Kind::Float { single }) => exact_if(
            matches!(limit, Some((p, s)) if *p <= if *single { 6 } else { 15 } && *s <= 30),
            "decimals of more digits than the float has are held",
        ),
        (Kind::Float { single }, Kind::Float { single: to }) => exact_if(*single || !to, "floats of double precision are held"),
        (Kind::Float { .. }, Kind::Int { .. }) => lossy("floats with a fraction are held"),
        (Kind::Float { .. }, Kind::Decimal { .. }) => lossy("floats with more digits or a negative zero are held"),
        (Kind::Text { .. }, Kind::Bool | Kind::Int { .. } | Kind::Decimal { .. } | Kind::Number | Kind::Float { .. }) => {
            spelled_like(to)
        }
        _ => never(from, to),
    }
}

fn texts(from: &Column, to: &Column) -> Compatibility {
    match (&from.kind, &to.kind) {
        (Kind::Json | Kind::JsonDoubles, Kind::Json) | (Kind::JsonDoubles, Kind::JsonDoubles) => Exact,
        (Kind::Json, Kind::JsonDoubles) => lossy("documents with a number of more digits than a double has are held"),
        (Kind::Text { .. }, Kind::Json | Kind::JsonDoubles) => spelled_like(to),
        (Kind::Enum(labels), Kind::Enum(others)) => {
            exact_if(labels.iter().all(|label| others.contains(label)), "labels the other enum has not are held")
        }
        (Kind::Text { .. }, Kind::Enum(_)) => lossy("text that is none of the labels is held"),
        (Kind::Bytes { .. }, Kind::Text { .. }) => never(from, to),
        (Kind::Text { .. }, Kind::Text { .. }) => text_to_text(&from.kind, &to.kind),
        (Kind::Enum(labels), Kind::Text { .. }) => exact_if(
            labels.iter().all(|label| text::to_text(&Value::Text(label.clone()), route(from, to)).is_ok()),
            "labels that don't fit the column are held",
        ),
        (Kind::Json | Kind::JsonDoubles, Kind::Text { .. }) => match widest(&to.kind) {
            (None, charset) => exact_if(widens(Charset::UnicodeNoNul, charset), "characters its character set has not are held"),
            _ => lossy("documents longer than the column are held"),
        },
        (_, Kind::Text { .. }) => exact_if(length_fits(from, to), "values longer than the column are held"),
        _ => never(from, to),
    }
}

fn text_to_text(from: &Kind, to: &Kind) -> Compatibility {
    let ((from_max, from_charset), (to_max, to_charset)) = (widest(from), widest(to));
    let mut held = Vec::new();
    if to_max.is_some_and(|max| from_max.is_none_or(|from| from > max)) {
        held.push("texts longer than the column");
    }
    if !widens(from_charset, to_charset) {
        held.push("characters its character set has not");
    }
    if matches!(to, Kind::Text { padded: true, .. }) && !matches!(from, Kind::Text { padded: true, .. }) {
        held.push("blanks at the end");
    }
    if held.is_empty() { Exact } else { Compatibility::Lossy(format!("{} are held", held.join(" and "))) }
}

fn bytes(from: &Column, to: &Column) -> Compatibility {
    match (&from.kind, &to.kind) {
        (Kind::Bytes { max, padded }, Kind::Bytes { max: to_max, padded: to_padded }) => exact_if(
            match to_max {
                None => true,
                Some(_) if *to_padded => *padded && max == to_max,
                Some(to_max) => max.is_some_and(|max| max <= *to_max),
            },
            "bytes of another length are held",
        ),
        (Kind::Uuid, Kind::Bytes { max: Some(max), padded }) if *max < 16 || (*padded && *max != 16) => never(from, to),
        (Kind::Uuid, Kind::Bytes { .. } | Kind::Uuid) => Exact,
        (Kind::Bytes { max, padded }, Kind::Uuid) => {
            exact_if(*padded && *max == Some(16), "bytes of a length other than 16 are held")
        }
        (Kind::Text { .. }, Kind::Uuid) => spelled_like(to),
        _ => never(from, to),
    }
}

fn times(from: &Column, to: &Column) -> Compatibility {
    let moments = "moments out of the other column's range are held";
    let digits = "digits of a second the other column has not are held";
    match (&from.kind, &to.kind) {
        (Kind::Date, Kind::Date) => Exact,
        (Kind::Date, Kind::DateTime { .. } | Kind::Instant { .. }) => exact_if(in_range(from, to), moments),
        (Kind::DateTime { .. } | Kind::Instant { .. }, Kind::Date) => lossy("times other than midnight are held"),
        (Kind::Time { digits: a }, Kind::Time { digits: b }) => exact_if(a <= b, digits),
        (
            Kind::DateTime { digits: a } | Kind::Instant { digits: a },
            Kind::DateTime { digits: b } | Kind::Instant { digits: b },
        ) => match (in_range(from, to), a <= b) {
            (true, true) => Exact,
            (false, true) => lossy(moments),
            (true, false) => lossy(digits),
            (false, false) => lossy(&format!("{digits}; {moments}")),
        },
        (Kind::Text { .. }, _) => spelled_like(to),
        _ => never(from, to),
    }
}

/// Whether moments lose digits of their second on the way, which a clock fills in every row: all of them are held, unless the
/// field says `lossy: fit`.
pub fn cuts_seconds(from: &Column, to: &Column) -> bool {
    let digits = |column: &Column| match column.kind {
        Kind::DateTime { digits } | Kind::Instant { digits } => Some(digits),
        _ => None,
    };
    matches!((digits(from), digits(to)), (Some(from), Some(to)) if from > to)
}

/// Whether the type's name promises a range at least as wide.
fn in_range(from: &Column, to: &Column) -> bool {
    let of = |column: &Column| time::range(&column.native, matches!(column.kind, Kind::Instant { .. }));
    match (of(from), of(to)) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(from), Some(to)) => to.start() <= from.start() && from.end() <= to.end(),
    }
}

fn both_fit(min: i128, max: i128, from: &Column, to: &Column) -> bool {
    [min, max].into_iter().all(|bound| {
        let value = Value::Int(bound);
        match &to.kind {
            Kind::Int { min, max } => number::to_int(&value, *min..=*max, route(from, to)).is_ok(),
            Kind::Decimal { limit } => number::to_decimal(&value, *limit, route(from, to)).is_ok(),
            _ => false,
        }
    })
}

/// Whether the longest canonical text of a value that is no text itself fits.
fn length_fits(from: &Column, to: &Column) -> bool {
    let (Some(max), _) = widest(&to.kind) else { return true };
    let longest = match &from.kind {
        Kind::Bool => 5,
        Kind::Int { min, max } => min.to_string().len().max(max.to_string().len()),
        // Sign, point and a zero before it.
        Kind::Decimal { limit: Some((precision, scale)) } => *precision.max(scale) as usize + 3,
        // The smallest subnormal: sign, "0.", 323 zeros and 16 more digits at most.
        Kind::Float { single: false } => 345,
        Kind::Float { single: true } => 60,
        Kind::Date => "+294276-12-31".len(),
        Kind::Time { .. } => "23:59:59.999999".len(),
        Kind::DateTime { .. } | Kind::Instant { .. } => "+294276-12-31T23:59:59.999999Z".len(),
        Kind::Uuid => 36,
        _ => return false,
    };
    longest as u64 <= max
}

fn widest(kind: &Kind) -> (Option<u64>, Charset) {
    match kind {
        Kind::Text { max, charset, .. } => (*max, *charset),
        _ => (None, Charset::Unicode),
    }
}

/// Whether every character of `from` is one of `to`.
fn widens(from: Charset, to: Charset) -> bool {
    match (from, to) {
        (_, Charset::Unicode) | (Charset::Ascii, Charset::Ascii | Charset::Latin1 | Charset::Basic) => true,
        (Charset::Latin1, Charset::Latin1 | Charset::Basic) | (Charset::Basic, Charset::Basic) => true,
        // U+0000 is too rare in narrow character sets to warn of it on every MySQL column.
        (Charset::UnicodeNoNul | Charset::Basic | Charset::Latin1 | Charset::Ascii, Charset::UnicodeNoNul) => true,
        (Charset::Unicode, Charset::UnicodeNoNul) => true,
        _ => false,
    }
}

fn route<'a>(from: &'a Column, to: &'a Column) -> Route<'a> {
    Route { from, to, lossy: Lossy::Hold }
}

fn exact_if(exact: bool, why: &str) -> Compatibility {
    if exact { Exact } else { lossy(why) }
}

fn lossy(why: &str) -> Compatibility {
    Compatibility::Lossy(why.to_owned())
}

fn spelled_like(to: &Column) -> Compatibility {
    Compatibility::Lossy(format!("text that is not spelled like {} is held", indefinite(word(&to.kind))))
}

fn never(from: &Column, to: &Column) -> Compatibility {
    Never(format!("{} can't become {}", word(&from.kind), indefinite(word(&to.kind))))
}

/// `an integer`.
pub(super) fn indefinite(noun: &str) -> String {
    match noun {
        "bytes" | "any value" => noun.to_owned(),
        _ => format!("{} {noun}", if noun.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }),
    }
}
