//! Booleans, integers, decimals and floats.

use std::ops::RangeInclusive;
use std::str::FromStr;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive, Zero};

use super::compatible::indefinite;
use super::{Route, Unfit};
use crate::model::{Kind, Value};

pub(super) fn to_bool(value: &Value, route: Route<'_>) -> Result<Value, Unfit> {
    match value {
        Value::Bool(value) => Ok(Value::Bool(*value)),
        Value::Int(0) => Ok(Value::Bool(false)),
        Value::Int(1) => Ok(Value::Bool(true)),
        // A tinyint(1) may hold a 2, and true is not 2 (D8).
        Value::Int(_) => Err(route.unfit("an integer other than 0 and 1")),
        Value::Text(text) => match spelled(text, route).as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(route.misspelled("true or false")),
        },
        _ => Err(route.never(value)),
    }
}

pub(super) fn to_int(value: &Value, bounds: RangeInclusive<i128>, route: Route<'_>) -> Result<Value, Unfit> {
    let number = match value {
        Value::Int(number) => *number,
        Value::Bool(value) => i128::from(*value),
        Value::Decimal(decimal) => whole_decimal(decimal, route)?,
        Value::Float(float) => whole_float(*float, route)?,
        Value::Text(text) => spelled(text, route)
            .parse()
            .ok()
            .filter(|number: &i128| route.fits() || number.to_string() == *text)
            .ok_or_else(|| route.misspelled("-42"))?,
        _ => return Err(route.never(value)),
    };
    // Never clipped, not even to fit: 127 is no rounding of 300 (D25).
    match number {
        _ if bounds.contains(&number) => Ok(Value::Int(number)),
        ..0 if *bounds.start() >= 0 => Err(route.unfit("a negative number")),
        ..0 => Err(route.unfit(format!("an integer below {}", bounds.start()))),
        _ => Err(route.unfit(format!("an integer above {}", bounds.end()))),
    }
}

fn whole_decimal(decimal: &BigDecimal, route: Route<'_>) -> Result<i128, Unfit> {
    if !decimal.is_integer() && !route.fits() {
        return Err(route.unfit("a decimal with a fraction"));
    }
    round(decimal, 0).to_i128().ok_or_else(|| route.unfit("a decimal of so many digits"))
}

fn whole_float(float: f64, route: Route<'_>) -> Result<i128, Unfit> {
    // 2^127: from here on `as` would saturate.
    if !float.is_finite() || float.abs() >= 170_141_183_460_469_231_731_687_303_715_884_105_728.0 {
        return Err(route.unfit(size_of(float)));
    }
    let negative_zero = float == 0.0 && float.is_sign_negative();
    if (float.fract() != 0.0 || negative_zero) && !route.fits() {
        return Err(route.unfit(if negative_zero { "a negative zero" } else { "a float with a fraction" }));
    }
    Ok(float.round() as i128)
}

pub(super) fn to_decimal(value: &Value, limit: Option<(u32, u32)>, route: Route<'_>) -> Result<Value, Unfit> {
    let decimal = match value {
        Value::Decimal(decimal) => decimal.clone(),
        Value::Int(number) => BigDecimal::from(*number),
        Value::Float(float) => decimal_of(*float, single(&route.from.kind), route)?,
        Value::Text(text) => plain_decimal(&spelled(text, route))
            .filter(|decimal| route.fits() || decimal_text(decimal, &route.to.kind) == *text)
            .ok_or_else(|| route.misspelled(&decimal_text(&BigDecimal::new(BigInt::from(125), 1), &route.to.kind)))?,
        _ => return Err(route.never(value)),
    };
    let Some((precision, scale)) = limit else { return Ok(Value::Decimal(decimal)) };
    let rounded = match i64::from(scale) {
        scale if has_scale(&decimal, scale) => decimal,
        scale if route.fits() => round(&decimal, scale),
        _ => return Err(route.unfit(format!("a decimal with {} digits behind the point", fraction_digits(&decimal)))),
    };
    if leading_digit(&rounded) > i64::from(precision) - i64::from(scale) {
        return Err(route.unfit("a decimal with more digits before the point"));
    }
    Ok(Value::Decimal(rounded))
}

/// SQLite's `NUMERIC` makes a 64-bit integer or a double of every number it is given (D7).
pub(super) fn to_number(value: &Value, route: Route<'_>) -> Result<Value, Unfit> {
    let Value::Decimal(decimal) = to_decimal(value, None, route)? else { return Err(route.never(value)) };
    if decimal.is_integer() && decimal.to_i64().is_some() {
        return Ok(Value::Decimal(decimal));
    }
    match shortest_double(&decimal) {
        Some(kept) if kept == decimal || route.fits() => Ok(Value::Decimal(kept)),
        Some(_) => Err(route.unfit("a decimal of so many digits")),
        None => Err(route.unfit("a decimal of this size")),
    }
}

/// The shortest digits of the double nearest to a decimal; `None` beyond the largest.
pub(super) fn shortest_double(decimal: &BigDecimal) -> Option<BigDecimal> {
    // Not `to_plain_string`: an exponent may be a text of a gigabyte.
    let double: f64 = decimal.to_string().parse().ok()?;
    BigDecimal::from_str(&double.to_string()).ok()
}

pub(super) fn to_float(value: &Value, to_single: bool, route: Route<'_>) -> Result<Value, Unfit> {
    let (float, exact) = match value {
        Value::Float(float) if float.is_finite() => {
            let stored = narrowed(*float, to_single);
            (stored, stored.to_bits() == float.to_bits())
        }
        Value::Float(float) => {
            return if has_special_floats(route) { Ok(Value::Float(*float)) } else { Err(route.unfit(size_of(*float))) };
        }
        Value::Int(number) => {
            let stored = if to_single { f64::from(*number as f32) } else { *number as f64 };
            (stored, stored.abs() < 1.7e38 && stored as i128 == *number)
        }
        Value::Decimal(decimal) => {
            let stored = parse_float(&decimal.to_plain_string(), to_single);
            (stored, BigDecimal::from_str(&float_text(stored, to_single)).is_ok_and(|back| back == *decimal))
        }
        Value::Text(text) => {
            let stored = parse_float(&spelled(text, route), to_single);
            if !stored.is_finite() || (!route.fits() && float_text(stored, to_single) != *text) {
                return Err(route.misspelled("-0.125"));
            }
            (stored, true)
        }
        _ => return Err(route.never(value)),
    };
    match float {
        _ if !float.is_finite() => Err(route.unfit("a number of this size")),
        _ if exact || route.fits() => Ok(Value::Float(float)),
        _ => Err(route.unfit(format!("{} with so many digits", indefinite(value.kind())))),
    }
}

/// A float's canonical text: the shortest digits that read back as the same float of its width, so
/// that a single 0.1 is `0.1` and not `0.10000000149011612` (D6).
pub(super) fn float_text(float: f64, single: bool) -> String {
    if single { (float as f32).to_string() } else { float.to_string() }
}

/// A decimal's canonical text: all digits of its column's scale (`19.90`), or where the column has
/// none, no more than it needs.
pub(super) fn decimal_text(decimal: &BigDecimal, kind: &Kind) -> String {
    match kind {
        Kind::Decimal { limit: Some((_, scale)) } if has_scale(decimal, i64::from(*scale)) => {
            decimal.with_scale(i64::from(*scale)).to_plain_string()
        }
        _ => decimal.normalized().to_plain_string(),
    }
}

/// Whether a column of this kind holds single-precision floats.
pub(super) fn single(kind: &Kind) -> bool {
    matches!(kind, Kind::Float { single: true })
}

/// Ties go away from zero: the rule of PostgreSQL and MySQL for decimals, so that the value is the
/// one both would have kept.
fn round(decimal: &BigDecimal, scale: i64) -> BigDecimal {
    decimal.with_scale_round(scale, RoundingMode::HalfUp)
}

fn decimal_of(float: f64, single: bool, route: Route<'_>) -> Result<BigDecimal, Unfit> {
    if float == 0.0 && float.is_sign_negative() && !route.fits() {
        return Err(route.unfit("a negative zero"));
    }
    // "NaN" and "inf" are no decimals.
    BigDecimal::from_str(&float_text(float, single)).map_err(|_| route.unfit(size_of(float)))
}

/// A decimal without exponent: `1e999999999` must not become a gigabyte of zeros.
fn plain_decimal(text: &str) -> Option<BigDecimal> {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+')).then(|| BigDecimal::from_str(text).ok())?
}

fn parse_float(text: &str, single: bool) -> f64 {
    // Each width has its own parser: rounding to double first and then to single would round twice.
    if single { text.parse().map_or(f64::NAN, |float: f32| f64::from(float)) } else { text.parse().unwrap_or(f64::NAN) }
}

fn narrowed(float: f64, single: bool) -> f64 {
    if single { f64::from(float as f32) } else { float }
}

/// Only PostgreSQL has NaN and both infinities; SQLite makes a NULL of a NaN without a word, and
/// MySQL has none of them (D6).
fn has_special_floats(route: Route<'_>) -> bool {
    route.from.native == route.to.native || matches!(route.to.native.as_str(), "double precision" | "real" | "float8" | "float4")
}

fn size_of(float: f64) -> &'static str {
    match float {
        _ if float.is_nan() => "NaN",
        _ if float.is_infinite() => "an infinite float",
        _ => "a float of this size",
    }
}

/// Whether `scale` digits behind the point are enough.
fn has_scale(decimal: &BigDecimal, scale: i64) -> bool {
    // Trailing zeros are counted away only where it matters: it costs a division a digit.
    decimal.fractional_digit_count() <= scale || fraction_digits(decimal) <= scale
}

/// Digits behind the point that are not trailing zeros.
fn fraction_digits(decimal: &BigDecimal) -> i64 {
    if decimal.is_zero() { 0 } else { decimal.normalized().fractional_digit_count().max(0) }
}

/// How many digits the point is behind the leading digit; negative for 0.00x.
fn leading_digit(decimal: &BigDecimal) -> i64 {
    if decimal.is_zero() {
        return i64::MIN;
    }
    i64::try_from(decimal.digits()).unwrap_or(i64::MAX).saturating_sub(decimal.fractional_digit_count())
}

/// The text as it is parsed: where the value may be made to fit, blanks around it, a plus sign and
/// upper case are forgiven, and the check that it reads back is skipped.
fn spelled(text: &str, route: Route<'_>) -> String {
    if !route.fits() {
        return text.to_owned();
    }
    let text = text.trim();
    text.strip_prefix('+').unwrap_or(text).to_lowercase()
}
