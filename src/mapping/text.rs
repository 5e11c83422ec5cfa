//! Texts: lengths, character sets, padding, labels, and every other value's canonical text.

use super::number::{decimal_text, float_text, single};
use super::{Route, Unfit, time};
use crate::model::{Charset, Kind, Value};

pub(super) fn to_text(value: &Value, route: Route<'_>) -> Result<Value, Unfit> {
    let Kind::Text { max, padded, charset } = &route.to.kind else { return Err(route.never(value)) };
    let mut text = match value {
        // Bytes have no encoding; hexadecimal would be a format of our own making.
        Value::Bytes(_) => return Err(route.never(value)),
        Value::Text(text) if pads(&route.from.kind) => text.trim_end_matches(' ').to_owned(),
        _ => spell(value, route)?,
    };
    if *padded && text.ends_with(' ') {
        if !route.fits() {
            return Err(route.unfit("text with blanks at its end"));
        }
        text.truncate(text.trim_end_matches(' ').len());
    }
    if let Some(unstorable) = text.chars().find(|c| !stores(*charset, *c)) {
        if !route.fits() {
            return Err(route.unfit(format!("text with {}", describe(unstorable))));
        }
        text = text.chars().map(|c| if stores(*charset, c) { c } else { stand_in(*charset) }).collect();
    }
    let Some(max) = max else { return Ok(Value::Text(text)) };
    // Bytes are an upper bound of characters: most texts are never counted.
    if text.len() as u64 <= *max {
        return Ok(Value::Text(text));
    }
    let length = text.chars().count() as u64;
    match value {
        _ if length <= *max => Ok(Value::Text(text)),
        // A number or date that is cut would be another one.
        Value::Text(_) if route.fits() => {
            let cut: String = text.chars().take(usize::try_from(*max).unwrap_or(usize::MAX)).collect();
            Ok(Value::Text(if *padded { cut.trim_end_matches(' ').to_owned() } else { cut }))
        }
        Value::Text(_) => Err(route.unfit(format!("text of {length} characters"))),
        _ => Err(route.unfit(format!("{} of {length} characters", value.kind()))),
    }
}

/// The canonical text, from which the same value can be read again.
pub(super) fn spell(value: &Value, route: Route<'_>) -> Result<String, Unfit> {
    match value {
        Value::Decimal(decimal) => Ok(decimal_text(decimal, &route.from.kind)),
        Value::Float(float) if float.is_finite() => Ok(float_text(*float, single(&route.from.kind))),
        Value::Float(_) => Err(route.unfit("a float that is not a number")),
        Value::Date(_) | Value::Time(_) | Value::DateTime(_) | Value::Instant(_) => time::spell(value, route),
        _ => Ok(value.to_text()),
    }
}

pub(super) fn to_label(value: &Value, labels: &[String], route: Route<'_>) -> Result<Value, Unfit> {
    let Value::Text(text) = value else { return Err(route.never(value)) };
    let text = if pads(&route.from.kind) { text.trim_end_matches(' ') } else { text };
    if labels.iter().any(|label| label == text) {
        return Ok(Value::Text(text.to_owned()));
    }
    Err(Unfit { cause: format!("text that is none of the labels of {}", route.type_name()) })
}

/// Whether blanks at the end of a text of this column mean nothing.
fn pads(kind: &Kind) -> bool {
    matches!(kind, Kind::Text { padded: true, .. })
}

/// Whether `charset` has the character.
pub(super) fn stores(charset: Charset, c: char) -> bool {
    match charset {
        Charset::Unicode => true,
        Charset::UnicodeNoNul => c != '\0',
        Charset::Basic => c as u32 <= 0xffff,
        // MySQL's latin1 is Windows-1252, with C1 controls where that has gaps.
        Charset::Latin1 => {
            c.is_ascii()
                || ('\u{a0}'..='\u{ff}').contains(&c)
                || "\u{81}\u{8d}\u{8f}\u{90}\u{9d}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ".contains(c)
        }
        Charset::Ascii => c.is_ascii(),
    }
}

fn stand_in(charset: Charset) -> char {
    if stores(charset, char::REPLACEMENT_CHARACTER) { char::REPLACEMENT_CHARACTER } else { '?' }
}

fn describe(c: char) -> &'static str {
    match c {
        '\0' => "U+0000",
        '\u{10000}'.. => "a character beyond the basic plane",
        _ => "a character its character set has not",
    }
}
