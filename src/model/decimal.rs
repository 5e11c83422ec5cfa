//! Decimals of up to eighteen digits, which nearly all are, without the detour over big numbers; the others go there. Both say
//! the same.

use std::str::FromStr;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, ToPrimitive};

/// So many digits always fit an `i64`.
const DIGITS_MAX: usize = 18;

/// A plain spelling (`-12.50`) as a decimal; `None` if it is none.
pub fn parse_decimal(text: &str) -> Option<BigDecimal> {
    short(text).or_else(|| BigDecimal::from_str(text).ok())
}

fn short(text: &str) -> Option<BigDecimal> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = || whole.bytes().chain(fraction.bytes());
    if whole.is_empty()
        || digits.ends_with('.')
        || whole.len() + fraction.len() > DIGITS_MAX
        || !all().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let number = all().fold(0, |number: i64, digit| number * 10 + i64::from(digit - b'0'));
    let number = if negative { -number } else { number };
    Some(BigDecimal::new(BigInt::from(number), i64::try_from(fraction.len()).ok()?))
}

/// Gives `put` the shortest plain spelling of a decimal: without an exponent, and without zeros at the end of its fraction.
pub fn shortest<R>(value: &BigDecimal, put: impl FnOnce(&[u8]) -> R) -> R {
    let (digits, scale) = value.as_bigint_and_scale();
    let short = digits.to_i64().zip(usize::try_from(scale).ok().filter(|scale| *scale <= DIGITS_MAX));
    let Some((number, mut scale)) = short else { return put(value.normalized().to_plain_string().as_bytes()) };
    let mut rest = number.unsigned_abs();
    while scale > 0 && rest % 10 == 0 {
        rest /= 10;
        scale -= 1;
    }
    // From the end: twenty digits at most, a point, zeros in front of it, a sign.
    let mut buffer = [0; 48];
    let mut at = buffer.len();
    let mut push = |byte| {
        at -= 1;
        buffer[at] = byte;
    };
    let mut written = 0;
    while written < scale || rest > 0 || written == 0 {
        if written == scale && scale > 0 {
            push(b'.');
        }
        push(b'0' + (rest % 10) as u8);
        rest /= 10;
        written += 1;
    }
    if written == scale && scale > 0 {
        push(b'.');
        push(b'0');
    }
    if number < 0 {
        push(b'-');
    }
    put(&buffer[at..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shortest_text(value: &BigDecimal) -> String {
        shortest(value, |text| String::from_utf8(text.to_vec()).unwrap())
    }

    /// What the library says.
    fn both_ways(text: &str) {
        let slow = BigDecimal::from_str(text).unwrap();
        let fast = parse_decimal(text).unwrap();
        assert_eq!((fast.as_bigint_and_scale(), &fast), (slow.as_bigint_and_scale(), &slow), "{text}");
        assert_eq!(shortest_text(&fast), slow.normalized().to_plain_string(), "{text}");
    }

    #[test]
    fn short_decimals_are_what_the_library_makes_of_them() {
        for text in [
            "0",
            "-0",
            "0.0",
            "0.000",
            "00",
            "007",
            "1.10",
            "100",
            "-12.50",
            "0.05",
            "-0.05",
            "999999999999999999",
            "0.00000000000000001",
            "-9999999999999999.99",
            "12345678901234567890.5",
            "100.00",
            "1e3",
            "1.5E-30",
            "-1E20",
            "+5",
            "5.",
            ".5",
        ] {
            both_ways(text);
        }
        for text in ["", "-", ".", "1.2.3", "1 ", "one", "--1", "1-"] {
            assert_eq!(parse_decimal(text).is_some(), BigDecimal::from_str(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn every_scale_is_spelled_as_the_library_spells_it() {
        for number in [0, 1, -1, 10, 120, -1200, i64::MAX, i64::MIN, 1_000_000_000_000_000_000] {
            for scale in -3..=40 {
                let value = BigDecimal::new(BigInt::from(number), scale);
                assert_eq!(shortest_text(&value), value.normalized().to_plain_string(), "{number} {scale}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_decimal_is_spelled_and_read_as_the_library_does(text in "-?[0-9]{1,22}(\\.[0-9]{1,22})?") {
            both_ways(&text);
        }
    }
}
