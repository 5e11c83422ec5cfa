//! The cases of hard-cases D as tables, and what must hold for every value and every two columns.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use proptest::prelude::*;

use super::*;
use crate::model::Charset;
use crate::model::time::{parse_date, parse_datetime, parse_time};

fn column(native: &str, kind: Kind) -> Column {
    Column { name: "c".into(), kind, native: native.into(), nullable: true, computed: false, has_default: false, numbered: false }
}

fn integer(bits: u32, signed: bool) -> Column {
    let max = (1_i128 << (bits - u32::from(signed))) - 1;
    column(&format!("int{bits}"), Kind::Int { min: if signed { -max - 1 } else { 0 }, max })
}

fn numeric(precision: u32, scale: u32) -> Column {
    column(&format!("numeric({precision},{scale})"), Kind::Decimal { limit: Some((precision, scale)) })
}

fn text_of(max: Option<u64>, padded: bool, charset: Charset) -> Column {
    let native = match (max, padded) {
        (None, _) => "text".to_owned(),
        (Some(max), true) => format!("char({max})"),
        (Some(max), false) => format!("varchar({max})"),
    };
    column(&native, Kind::Text { max, padded, charset })
}

fn plain_text() -> Column {
    text_of(None, false, Charset::Unicode)
}

fn unlimited() -> Column {
    column("numeric", Kind::Decimal { limit: None })
}

fn double() -> Column {
    column("double precision", Kind::Float { single: false })
}

fn real() -> Column {
    column("real", Kind::Float { single: true })
}

fn datetime(digits: u8) -> Column {
    column(&format!("timestamp({digits})"), Kind::DateTime { digits })
}

fn instant(digits: u8) -> Column {
    column(&format!("timestamp({digits}) with time zone"), Kind::Instant { digits })
}

fn binary(max: Option<u64>, padded: bool) -> Column {
    column("binary", Kind::Bytes { max, padded })
}

fn any_column() -> Column {
    column("", Kind::Any)
}

fn decimal(text: &str) -> Value {
    Value::Decimal(BigDecimal::from_str(text).unwrap())
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

fn at(moment: &str) -> Value {
    Value::DateTime(parse_datetime(moment).unwrap())
}

fn hold(value: &Value, from: &Column, to: &Column) -> Result<Value, String> {
    convert(value, from, to, Lossy::Hold).map_err(|unfit| unfit.cause)
}

fn fit(value: &Value, from: &Column, to: &Column) -> Result<Value, String> {
    convert(value, from, to, Lossy::Fit).map_err(|unfit| unfit.cause)
}

/// `Value` prints no content, so failures name the row of the table instead.
#[track_caller]
fn same(got: Result<Value, String>, want: Result<Value, &str>, row: &str) {
    let shown = got.as_ref().map(Value::to_text);
    assert!(got == want.map_err(str::to_owned), "{row}: got {shown:?}");
}

#[test]
fn d1_fractions_are_cut_by_us_and_never_rounded_into_the_next_year() {
    for fraction in [".4", ".5", ".6", ".999999"] {
        let moment = format!("2026-12-31T23:59:59{fraction}");
        let value = at(&moment);
        for to in [datetime(0), instant(0)] {
            let held = hold(&value, &datetime(6), &to).unwrap_err();
            assert_eq!(held, format!("a fraction of a second with more than 0 digits does not fit {}", to.native));
            let cut = fit(&value, &datetime(6), &to).unwrap();
            assert_eq!(cut.to_text().trim_end_matches('Z'), "2026-12-31T23:59:59", "{moment}");
        }
    }
    same(fit(&at("2026-01-01T00:00:00.123456"), &datetime(6), &datetime(3)), Ok(at("2026-01-01T00:00:00.123")), "to 3 digits");
    same(fit(&at("1969-12-31T23:59:59.9"), &datetime(6), &datetime(0)), Ok(at("1969-12-31T23:59:59")), "before 1970");
    let (time6, time0) = (column("time", Kind::Time { digits: 6 }), column("time", Kind::Time { digits: 0 }));
    same(fit(&Value::Time(-1_500_000), &time6, &time0), Ok(Value::Time(-1_000_000)), "a negative time, towards zero");
}

#[test]
fn d2_a_naive_time_is_utc_where_a_zone_is_needed() {
    for moment in ["2026-10-25T02:30:00", "2026-03-29T02:30:00", "1900-01-01T00:00:00", "1969-12-31T23:59:59.999999"] {
        let value = at(moment);
        let there = hold(&value, &datetime(6), &instant(6)).unwrap();
        assert_eq!(there.to_text(), format!("{moment}Z"));
        same(hold(&there, &instant(6), &datetime(6)), Ok(value), moment);
    }
}

#[test]
fn d3_a_zero_date_is_neither_null_nor_a_date_elsewhere() {
    let zero = Value::Other { kind: "zero date", text: "0000-00-00".into() };
    let mysql = column("datetime", Kind::DateTime { digits: 0 });
    let to = instant(0);
    let cause = format!("zero date has no counterpart in {}", to.native);
    same(hold(&zero, &mysql, &to), Err(&cause), "elsewhere");
    same(fit(&zero, &mysql, &to), Err(&cause), "not even to fit");
    same(hold(&zero, &mysql, &mysql), Ok(zero.clone()), "the same type");
    same(hold(&zero, &mysql, &plain_text()), Ok(text("0000-00-00")), "as text");
}

#[test]
fn d4_what_a_side_has_no_place_for_is_held() {
    let infinity = Value::Other { kind: "infinity", text: "infinity".into() };
    let mysql = column("datetime(6)", Kind::DateTime { digits: 6 });
    let stamp = column("timestamp", Kind::Instant { digits: 0 });
    assert!(hold(&infinity, &instant(6), &mysql).is_err());
    same(hold(&at("+12026-01-01T00:00:00"), &datetime(6), &mysql), Err("a date of this year does not fit datetime(6)"), "year");
    same(hold(&at("-0043-03-15T00:00:00"), &datetime(6), &mysql), Err("a date of this year does not fit datetime(6)"), "44 BC");
    same(hold(&at("1969-12-31T00:00:00"), &datetime(6), &stamp), Err("a date of this year does not fit timestamp"), "1969");
    assert!(hold(&at("2026-01-01T00:00:00"), &datetime(6), &stamp).is_ok());
    assert!(hold(&at("+12026-01-01T00:00:00"), &datetime(6), &instant(6)).is_ok(), "PostgreSQL has that year");
    let (mysql, postgres) =
        (column("time", Kind::Time { digits: 6 }), column("time without time zone", Kind::Time { digits: 6 }));
    let hours = |hours: i64| Value::Time(hours * 3_600_000_000);
    same(
        hold(&hours(838), &mysql, &postgres),
        Err("a time outside 00:00:00 to 24:00:00 does not fit time without time zone"),
        "838",
    );
    same(hold(&hours(-1), &mysql, &plain_text()), Err("a time out of range does not fit text"), "it could not be read again");
    same(hold(&hours(838), &mysql, &mysql), Ok(hours(838)), "the same type");
    same(hold(&hours(24), &postgres, &mysql), Ok(hours(24)), "24:00:00");
    for extreme in [Value::DateTime(i64::MAX), Value::DateTime(i64::MIN), Value::Date(i32::MAX), Value::Date(i32::MIN)] {
        for to in [plain_text(), datetime(0), instant(6), column("date", Kind::Date), stamp.clone()] {
            let _ = (hold(&extreme, &datetime(6), &to), fit(&extreme, &datetime(6), &to));
        }
    }
}

#[test]
fn d5_an_interval_goes_only_to_intervals_and_text() {
    let month = Value::Other { kind: "interval", text: "1 mon".into() };
    let interval = column("interval", Kind::Other("interval".into()));
    same(hold(&month, &interval, &interval), Ok(month.clone()), "interval");
    same(hold(&month, &interval, &plain_text()), Ok(text("1 mon")), "text");
    assert!(hold(&month, &interval, &integer(64, true)).is_err());
    assert!(hold(&text("1 mon"), &plain_text(), &interval).is_err());
}

#[test]
fn d6_floats_keep_their_bits() {
    let tenth = Value::Float(f64::from(0.1_f32));
    same(hold(&tenth, &real(), &double()), Ok(tenth.clone()), "single to double");
    same(hold(&tenth, &double(), &real()), Ok(tenth.clone()), "and back");
    same(hold(&tenth, &real(), &plain_text()), Ok(text("0.1")), "the digits of a single");
    same(hold(&text("0.1"), &plain_text(), &real()), Ok(tenth.clone()), "and back");
    same(hold(&tenth, &real(), &unlimited()), Ok(decimal("0.1")), "as decimal");
    same(hold(&Value::Float(0.1), &double(), &real()), Err("a float with so many digits does not fit real"), "0.1 is no single");
    same(fit(&Value::Float(0.1), &double(), &real()), Ok(tenth), "rounded to fit");
    same(fit(&Value::Float(1e300), &double(), &real()), Err("a number of this size does not fit real"), "never an infinity");
    same(
        hold(&Value::Int(16_777_217), &integer(32, true), &real()),
        Err("an integer with so many digits does not fit real"),
        "2^24+1",
    );
    same(hold(&Value::Float(5e-324), &double(), &double()), Ok(Value::Float(5e-324)), "the smallest");
    same(hold(&Value::Float(-0.0), &double(), &integer(32, true)), Err("a negative zero does not fit int32"), "-0.0");
    assert_eq!(hold(&Value::Float(-0.0), &double(), &plain_text()).unwrap().to_text(), "-0");
}

#[test]
fn d6_nan_and_infinities_go_only_to_floats_that_have_them() {
    let mysql = column("double", Kind::Float { single: false });
    for special in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let value = Value::Float(special);
        same(hold(&value, &double(), &double()), Ok(value.clone()), "float8");
        same(hold(&value, &double(), &real()), Ok(value.clone()), "float4");
        for to in [mysql.clone(), unlimited(), plain_text(), integer(64, true)] {
            assert!(hold(&value, &double(), &to).is_err(), "{special} {}", to.native);
            assert!(fit(&value, &double(), &to).is_err(), "{special} {}", to.native);
        }
    }
    same(hold(&Value::Float(f64::NAN), &double(), &any_column()), Err("NaN does not fit any value"), "SQLite makes it NULL");
}

#[test]
fn d7_decimals_are_exact_or_held() {
    let digits = "12345678901234567890123456789012345678";
    same(hold(&decimal(digits), &numeric(38, 0), &numeric(38, 0)), Ok(decimal(digits)), "38 digits");
    same(
        hold(&decimal(digits), &numeric(38, 0), &double()),
        Err("a decimal with so many digits does not fit double precision"),
        "double",
    );
    same(
        hold(&decimal("1.005"), &numeric(6, 3), &numeric(5, 2)),
        Err("a decimal with 3 digits behind the point does not fit numeric(5,2)"),
        "scale",
    );
    for (exact, rounded) in [("1.005", "1.01"), ("-1.005", "-1.01"), ("1.004", "1"), ("1.015", "1.02"), ("0.995", "1")] {
        same(fit(&decimal(exact), &numeric(6, 3), &numeric(5, 2)), Ok(decimal(rounded)), exact);
    }
    let large = Err("a decimal with more digits before the point does not fit numeric(5,2)");
    same(hold(&decimal("1000"), &numeric(6, 2), &numeric(5, 2)), large.clone(), "precision");
    same(fit(&decimal("999.995"), &numeric(6, 3), &numeric(5, 2)), large, "rounded out of range");
    same(hold(&decimal("1.500"), &numeric(6, 3), &numeric(2, 1)), Ok(decimal("1.5")), "trailing zeros are no digits");
    same(hold(&decimal("0.0012"), &unlimited(), &numeric(2, 4)), Ok(decimal("0.0012")), "scale above precision");
    same(
        hold(&decimal("0.012"), &unlimited(), &numeric(2, 4)),
        Err("a decimal with more digits before the point does not fit numeric(2,4)"),
        "and its limit",
    );
    same(hold(&decimal("19.9"), &numeric(10, 2), &double()), Ok(Value::Float(19.9)), "a price in a double");
    same(hold(&Value::Float(19.9), &double(), &numeric(10, 2)), Ok(decimal("19.90")), "and back");
    same(hold(&decimal("19.9"), &numeric(10, 2), &plain_text()), Ok(text("19.90")), "with its scale");
    same(hold(&decimal("19.900"), &unlimited(), &plain_text()), Ok(text("19.9")), "without one");
    same(
        hold(&decimal("12345678901234567890.12"), &numeric(38, 2), &any_column()),
        Ok(text("12345678901234567890.12")),
        "no double in SQLite",
    );
}

#[test]
fn d7_a_short_text_never_becomes_a_gigabyte() {
    for huge in ["1e999999999", "1E+999999999", "0x10", "1_000", "NaN", "", "-", ".", "--1", "1-2"] {
        assert!(hold(&text(huge), &plain_text(), &unlimited()).is_err(), "{huge}");
        assert!(fit(&text(huge), &plain_text(), &unlimited()).is_err(), "{huge}");
    }
}

#[test]
fn d8_integers_stay_in_their_bounds() {
    let unsigned = column("bigint unsigned", Kind::Int { min: 0, max: i128::from(u64::MAX) });
    let two = Value::Int(2);
    same(
        hold(&two, &integer(8, true), &column("boolean", Kind::Bool)),
        Err("an integer other than 0 and 1 does not fit boolean"),
        "2",
    );
    same(hold(&Value::Int(-1), &integer(64, true), &unsigned), Err("a negative number does not fit bigint unsigned"), "-1");
    let top = Value::Int(1 << 63);
    same(hold(&top, &unsigned, &integer(64, true)), Err("an integer above 9223372036854775807 does not fit int64"), "2^63");
    same(hold(&top, &unsigned, &any_column()), Ok(text("9223372036854775808")), "SQLite would make it a double");
    same(hold(&text("9223372036854775808"), &any_column(), &unsigned), Ok(top), "and back");
    same(hold(&Value::Int(i128::from(u64::MAX)), &unsigned, &numeric(20, 0)), Ok(decimal("18446744073709551615")), "2^64-1");
    same(
        fit(&Value::Int(300), &integer(32, true), &integer(8, true)),
        Err("an integer above 127 does not fit int8"),
        "never clipped",
    );
    same(hold(&decimal("2.50"), &numeric(5, 2), &integer(8, true)), Err("a decimal with a fraction does not fit int8"), "2.5");
    same(fit(&decimal("2.50"), &numeric(5, 2), &integer(8, true)), Ok(Value::Int(3)), "rounded to fit");
    same(hold(&Value::Float(1e40), &double(), &unsigned), Err("a float of this size does not fit bigint unsigned"), "1e40");
}

#[test]
fn d9_booleans_are_true_and_false_and_nothing_else() {
    let boolean = column("boolean", Kind::Bool);
    same(hold(&Value::Bool(true), &boolean, &integer(8, true)), Ok(Value::Int(1)), "to an integer");
    same(hold(&Value::Bool(false), &boolean, &plain_text()), Ok(text("false")), "to text");
    same(hold(&text("true"), &plain_text(), &boolean), Ok(Value::Bool(true)), "true");
    for other in ["yes", "on", "1", "2", "TRUE", " true", "t", ""] {
        assert!(hold(&text(other), &plain_text(), &boolean).is_err(), "{other}");
    }
    assert!(hold(&decimal("1"), &unlimited(), &boolean).is_err());
}

#[test]
fn d10_d11_characters_the_other_side_has_not() {
    let postgres = text_of(None, false, Charset::UnicodeNoNul);
    let mb3 = text_of(None, false, Charset::Basic);
    let latin1 = text_of(None, false, Charset::Latin1);
    let ascii = text_of(None, false, Charset::Ascii);
    same(hold(&text("a\0b"), &plain_text(), &postgres), Err("text with U+0000 does not fit text"), "NUL");
    same(fit(&text("a\0b"), &plain_text(), &postgres), Ok(text("a\u{fffd}b")), "NUL replaced");
    same(
        hold(&text("beer 🍺!"), &plain_text(), &mb3),
        Err("text with a character beyond the basic plane does not fit text"),
        "emoji",
    );
    same(fit(&text("beer 🍺!"), &plain_text(), &mb3), Ok(text("beer \u{fffd}!")), "emoji replaced");
    same(hold(&text("déjà 5 €"), &plain_text(), &latin1), Ok(text("déjà 5 €")), "MySQL's latin1 has the euro");
    same(
        hold(&text("Ł"), &plain_text(), &latin1),
        Err("text with a character its character set has not does not fit text"),
        "latin1",
    );
    same(fit(&text("naïve"), &plain_text(), &ascii), Ok(text("na?ve")), "ascii");
    let jsonb = column("jsonb", Kind::Json);
    let json = |text: &str| Value::Json(text.into());
    same(hold(&json(r#"["\u0000"]"#), &column("json", Kind::Json), &jsonb), Err("json with U+0000 does not fit jsonb"), "escape");
    assert!(hold(&json(r#"["\\u0000"]"#), &column("json", Kind::Json), &jsonb).is_ok(), "an escaped backslash");
}

#[test]
fn d14_lengths_are_counted_in_characters() {
    let three = text_of(Some(3), false, Charset::Unicode);
    let family = "👨‍👩‍👧";
    same(hold(&text("abcdefghijkl"), &plain_text(), &three), Err("text of 12 characters does not fit varchar(3)"), "long");
    same(fit(&text("äöüß"), &plain_text(), &three), Ok(text("äöü")), "cut");
    same(hold(&text(family), &plain_text(), &three), Err("text of 5 characters does not fit varchar(3)"), "family");
    same(hold(&text(family), &plain_text(), &text_of(Some(5), false, Charset::Unicode)), Ok(text(family)), "5 code points");
    same(
        hold(&text("ab  "), &plain_text(), &three),
        Err("text of 4 characters does not fit varchar(3)"),
        "blanks are not cut silently",
    );
    same(
        fit(&Value::Int(12345), &integer(32, true), &three),
        Err("integer of 5 characters does not fit varchar(3)"),
        "a number is never cut",
    );
}

#[test]
fn d15_null_and_empty_stay_apart() {
    let required = Column { nullable: false, ..plain_text() };
    same(hold(&Value::Null, &plain_text(), &required), Err("NULL does not fit text"), "NOT NULL");
    same(fit(&Value::Null, &plain_text(), &required), Err("NULL does not fit text"), "not even to fit");
    same(hold(&text(""), &plain_text(), &required), Ok(text("")), "empty");
    same(hold(&Value::Null, &integer(8, true), &plain_text()), Ok(Value::Null), "NULL");
}

#[test]
fn d17_a_label_must_exist() {
    let sizes = column("enum('s','m')", Kind::Enum(vec!["s".into(), "m".into()]));
    same(hold(&text("m"), &plain_text(), &sizes), Ok(text("m")), "known");
    for unknown in ["M", "xl", ""] {
        let cause = Err("text that is none of the labels of enum('s','m')");
        same(hold(&text(unknown), &plain_text(), &sizes), cause.clone(), unknown);
        same(fit(&text(unknown), &plain_text(), &sizes), cause.clone(), unknown);
    }
    same(hold(&text("m  "), &text_of(Some(3), true, Charset::Unicode), &sizes), Ok(text("m")), "from char(3)");
}

#[test]
fn d18_json_travels_as_it_is_spelled() {
    let document = r#"{"bb":1,"a":2,"a":3,"n":1.10,"big":12345678901234567890123}"#;
    let json = column("json", Kind::Json);
    same(hold(&Value::Json(document.into()), &json, &plain_text()), Ok(text(document)), "to text");
    let back = hold(&text(document), &plain_text(), &json).unwrap();
    assert_eq!(back.to_text(), document);
    same(
        hold(&text("{"), &plain_text(), &json),
        Err("text that is not spelled like a JSON document does not fit json"),
        "no document",
    );
}

#[test]
fn d19_what_has_no_counterpart_is_refused_before_any_value_is_seen() {
    let point = column("point", Kind::Other("point".into()));
    assert_eq!(compatible(&point, &integer(32, true)), Compatibility::Never("point can't become an integer".into()));
    assert!(matches!(compatible(&plain_text(), &point), Compatibility::Never(_)));
    assert!(matches!(compatible(&binary(None, false), &plain_text()), Compatibility::Never(_)));
    assert!(matches!(compatible(&plain_text(), &binary(None, false)), Compatibility::Never(_)));
    assert_eq!(compatible(&point, &plain_text()), Compatibility::Exact);
    assert_eq!(compatible(&point, &point), Compatibility::Exact);
}

#[test]
fn a_second_without_digits_is_said_whatever_else_does_not_fit() {
    let (micros, mysql) =
        (column("timestamp with time zone", Kind::Instant { digits: 6 }), column("timestamp", Kind::Instant { digits: 0 }));
    let Compatibility::Lossy(why) = compatible(&micros, &mysql) else { panic!("every now() has digits") };
    assert_eq!(why, "digits of a second the other column has not are held; moments out of the other column's range are held");
    assert!(cuts_seconds(&micros, &mysql) && !cuts_seconds(&mysql, &micros));
    let fits = column("timestamp(6)", Kind::Instant { digits: 6 });
    let moments = "moments out of the other column's range are held".to_owned();
    assert_eq!(compatible(&micros, &fits), Compatibility::Lossy(moments));
    assert!(!cuts_seconds(&micros, &fits));
}

#[test]
fn d21_padding_is_no_content() {
    let (char5, varchar) = (text_of(Some(5), true, Charset::Unicode), text_of(Some(5), false, Charset::Unicode));
    same(hold(&text("ab   "), &char5, &varchar), Ok(text("ab")), "char(5) to varchar");
    same(hold(&text("ab"), &varchar, &char5), Ok(text("ab")), "varchar to char(5)");
    same(hold(&text("ab "), &varchar, &char5), Err("text with blanks at its end does not fit char(5)"), "they would be lost");
    same(fit(&text("ab "), &varchar, &char5), Ok(text("ab")), "trimmed to fit");
    let (binary4, blob) = (binary(Some(4), true), binary(None, false));
    same(hold(&Value::Bytes(vec![1, 0, 0, 0]), &binary4, &blob), Ok(Value::Bytes(vec![1, 0, 0, 0])), "zeros are bytes");
    same(
        hold(&Value::Bytes(vec![1]), &blob, &binary4),
        Err("bytes of 1 bytes does not fit binary"),
        "they would come back longer",
    );
    same(fit(&Value::Bytes(vec![1]), &blob, &binary4), Ok(Value::Bytes(vec![1, 0, 0, 0])), "padded to fit");
}

#[test]
fn c18_any_spelling_of_a_uuid_is_that_uuid() {
    let uuid = column("uuid", Kind::Uuid);
    let canonical = "0123abcd-4567-89ef-0123-456789abcdef";
    let value = hold(&text(canonical), &plain_text(), &uuid).unwrap();
    for spelling in [canonical.to_uppercase(), canonical.replace('-', ""), format!("{{{canonical}}}"), format!("{canonical}   ")]
    {
        same(hold(&text(&spelling), &plain_text(), &uuid), Ok(value.clone()), &spelling);
    }
    same(hold(&value, &uuid, &plain_text()), Ok(text(canonical)), "canonical text");
    let bytes = hold(&value, &uuid, &binary(Some(16), true)).unwrap();
    same(hold(&bytes, &binary(Some(16), true), &uuid), Ok(value.clone()), "16 bytes");
    same(hold(&value, &uuid, &binary(Some(20), true)), Err("uuid of 16 bytes does not fit binary"), "20 bytes");
    same(
        fit(&value, &uuid, &text_of(Some(32), false, Charset::Unicode)),
        Err("uuid of 36 characters does not fit varchar(32)"),
        "never cut",
    );
}

#[test]
fn dates_and_times_meet_at_midnight_only() {
    let date = column("date", Kind::Date);
    let day = Value::Date(parse_date("2026-12-31").unwrap());
    same(hold(&day, &date, &datetime(0)), Ok(at("2026-12-31T00:00:00")), "to a datetime");
    same(hold(&at("2026-12-31T00:00:00"), &datetime(0), &date), Ok(day.clone()), "and back");
    same(hold(&at("2026-12-31T23:59:59.6"), &datetime(6), &date), Err("a time other than midnight does not fit date"), "a time");
    same(fit(&at("2026-12-31T23:59:59.6"), &datetime(6), &date), Ok(day), "cut, not rounded into 2027");
    assert!(hold(&Value::Time(0), &column("time", Kind::Time { digits: 0 }), &datetime(0)).is_err());
}

#[test]
fn texts_are_read_only_in_the_spelling_they_are_written_in() {
    let date = column("date", Kind::Date);
    let rows: &[(&Column, &str, &[&str])] = &[
        (&integer(32, true), "42", &["042", "+42", " 42", "42.0", "4e1", ""]),
        (&numeric(10, 2), "19.90", &["19.9", "019.90", "+19.90", "1.99e1"]),
        (&double(), "0.5", &[".5", "0.50", "5e-1", "NaN", "inf"]),
        (&date, "2026-12-31", &["2026-12-31 ", "+2026-12-31", "2026-02-31", "31.12.2026"]),
        (&column("time", Kind::Time { digits: 6 }), "23:59:59.5", &["23:59:59.50", "23:59", "11pm"]),
        (&datetime(6), "2026-12-31T23:59:59", &["2026-12-31 23:59:59", "2026-12-31T23:59:59Z", "2026-12-31"]),
        (&instant(6), "2026-12-31T23:59:59Z", &["2026-12-31T23:59:59+00:00", "2026-12-31T23:59:59"]),
    ];
    for (to, canonical, others) in rows {
        let value = hold(&text(canonical), &plain_text(), to).unwrap();
        same(hold(&value, to, &plain_text()), Ok(text(canonical)), canonical);
        for other in *others {
            assert!(hold(&text(other), &plain_text(), to).is_err(), "{other}");
        }
    }
    same(
        fit(&text(" 2026-12-31 23:59:59"), &plain_text(), &datetime(0)),
        Ok(at("2026-12-31T23:59:59")),
        "to fit, a blank will do",
    );
    same(fit(&text(" +042 "), &plain_text(), &integer(8, true)), Ok(Value::Int(42)), "to fit, any decimal spelling");
    assert_eq!(parse_time("23:59:59.5"), Some(86_399_500_000));
}

#[test]
fn i10_no_cause_quotes_a_value() {
    let secret = "s3cr3t-4711-s3cr3t";
    for to in columns().into_iter().chain([text_of(Some(3), false, Charset::Unicode)]) {
        if let Err(cause) = hold(&text(secret), &plain_text(), &to) {
            assert!(!cause.contains("s3cr3t") && !cause.contains("4711"), "{cause}");
        }
    }
}

/// One column of every shape.
fn columns() -> Vec<Column> {
    let mut all = vec![
        column("boolean", Kind::Bool),
        integer(8, true),
        integer(32, true),
        integer(64, true),
        integer(64, false),
        column("tinyint(1)", Kind::Int { min: 0, max: 1 }),
        unlimited(),
        numeric(5, 2),
        numeric(15, 4),
        numeric(38, 0),
        numeric(20, 0),
        numeric(6, 6),
        double(),
        real(),
        column("bytea", Kind::Bytes { max: None, padded: false }),
        binary(Some(16), true),
        binary(Some(16), false),
        binary(Some(255), false),
        column("date", Kind::Date),
        column("time(0)", Kind::Time { digits: 0 }),
        column("time(6)", Kind::Time { digits: 6 }),
        datetime(0),
        datetime(6),
        column("datetime(3)", Kind::DateTime { digits: 3 }),
        instant(0),
        instant(6),
        column("timestamp", Kind::Instant { digits: 0 }),
        column("uuid", Kind::Uuid),
        column("json", Kind::Json),
        column("jsonb", Kind::Json),
        column("size", Kind::Enum(vec!["s".into(), "m".into()])),
        column("mood", Kind::Enum(vec!["s".into(), "m".into(), "ok".into()])),
        column("interval", Kind::Other("interval".into())),
        column("point", Kind::Other("point".into())),
        any_column(),
    ];
    for charset in [Charset::Unicode, Charset::UnicodeNoNul, Charset::Basic, Charset::Latin1, Charset::Ascii] {
        for (max, padded) in [(None, false), (Some(3), false), (Some(36), false), (Some(400), false), (Some(8), true)] {
            all.push(text_of(max, padded, charset));
        }
    }
    all
}

/// Values as that column would hold them.
fn values(column: &Column) -> BoxedStrategy<Value> {
    match column.kind.clone() {
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Int { min, max } => prop_oneof![min..=max, Just(min), Just(max), 0_i128..=1].prop_map(Value::Int).boxed(),
        Kind::Decimal { limit } => decimals(limit),
        Kind::Float { single: true } => any::<f32>().prop_map(|float| Value::Float(f64::from(float))).boxed(),
        Kind::Float { single: false } => {
            prop_oneof![any::<f64>(), any::<i32>().prop_map(f64::from)].prop_map(Value::Float).boxed()
        }
        Kind::Text { max, padded, charset } => texts(max, padded, charset),
        Kind::Bytes { max, padded } => {
            let most = usize::try_from(max.unwrap_or(40)).unwrap();
            proptest::collection::vec(any::<u8>(), if padded { most..=most } else { 0..=most }).prop_map(Value::Bytes).boxed()
        }
        Kind::Date => (-1_000_000..3_000_000_i32).prop_map(Value::Date).boxed(),
        Kind::Time { digits } => (0..=86_400_000_000_i64).prop_map(move |micros| Value::Time(cut_to(micros, digits))).boxed(),
        Kind::DateTime { digits } => moments(column, digits).prop_map(Value::DateTime).boxed(),
        Kind::Instant { digits } => moments(column, digits).prop_map(Value::Instant).boxed(),
        Kind::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        Kind::Number => any::<i32>().prop_map(|number| Value::Decimal(number.into())).boxed(),
        Kind::Json | Kind::JsonDoubles => prop_oneof![Just("{\"a\": 1.10}"), Just("[1,2]"), Just("null"), Just("\"x\"")]
            .prop_map(|t| Value::Json(t.into()))
            .boxed(),
        Kind::Enum(labels) => proptest::sample::select(labels).prop_map(Value::Text).boxed(),
        Kind::Any => prop_oneof![
            any::<i64>().prop_map(|number| Value::Int(number.into())),
            any::<i32>().prop_map(|number| Value::Float(number.into())),
            ".{0,5}".prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        ]
        .boxed(),
        Kind::Other(_) => Just(Value::Other { kind: "interval", text: "1 mon".into() }).boxed(),
    }
}

fn decimals(limit: Option<(u32, u32)>) -> BoxedStrategy<Value> {
    let (precision, scale) = limit.unwrap_or((38, 10));
    let bound = 10_i128.pow(precision.min(38)) - 1;
    prop_oneof![-bound..=bound, -99_999_i128..=99_999, Just(0), Just(bound)]
        .prop_map(move |digits| Value::Decimal(BigDecimal::new((digits % (bound + 1)).into(), scale.into())))
        .boxed()
}

fn texts(max: Option<u64>, padded: bool, charset: Charset) -> BoxedStrategy<Value> {
    let most = usize::try_from(max.unwrap_or(50)).unwrap();
    prop_oneof![".{0,400}", "-?[0-9]{1,8}(\\.[0-9]{1,3})?", "[a-zÀ-ÿ€ ]{0,10}", "true", "2026-1[0-2]-[0-3][0-9]"]
        .prop_map(move |text| {
            let text: String = text.chars().filter(|c| super::text::stores(charset, *c)).take(most).collect();
            Value::Text(if padded { text.trim_end_matches(' ').to_owned() } else { text })
        })
        .boxed()
}

fn moments(column: &Column, digits: u8) -> BoxedStrategy<i64> {
    let range = super::time::range(&column.native, matches!(column.kind, Kind::Instant { .. }));
    let (first, last) =
        range.map_or((-200_000_000_000_000_000, 9_000_000_000_000_000_000), |range| (*range.start(), *range.end()));
    let days = (first / 86_400_000_000 + 1)..(last / 86_400_000_000);
    prop_oneof![
        (first..=last).prop_map(move |micros| cut_to(micros, digits).max(first)),
        days.prop_map(|day| day * 86_400_000_000)
    ]
    .boxed()
}

fn cut_to(micros: i64, digits: u8) -> i64 {
    micros - micros.rem_euclid(10_i64.pow(6 - u32::from(digits)))
}

fn one_way() -> impl Strategy<Value = (Column, Column, Value)> {
    let column = proptest::sample::select(columns());
    (column.clone(), column).prop_flat_map(|(from, to)| {
        let value = values(&from);
        (Just(from), Just(to), value)
    })
}

/// What comes back in another form, and then stays: a UUID in its canonical spelling, and in a column
/// without a type the other column's type.
fn respelled(from: &Column, to: &Column) -> bool {
    from.kind == Kind::Any || (matches!(from.kind, Kind::Text { .. }) && to.kind == Kind::Uuid)
}

/// NaN, infinities and minus zero: what [`compatible`] leaves out.
fn special(value: &Value) -> bool {
    matches!(value, Value::Float(float) if !float.is_finite() || (*float == 0.0 && float.is_sign_negative()))
        || matches!(value, Value::Text(text) if text.contains('\0'))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn what_came_through_comes_back_the_same((from, to, value) in one_way()) {
        if let Ok(there) = convert(&value, &from, &to, Lossy::Hold)
            && let Ok(back) = convert(&there, &to, &from, Lossy::Hold)
        {
            let shown = format!("{} -> {}: {} -> {} -> {}", from.native, to.native, value.to_text(), there.to_text(), back.to_text());
            prop_assert!(convert(&back, &from, &to, Lossy::Hold) == Ok(there), "{shown}");
            prop_assert!(back == value || respelled(&from, &to), "{shown}");
        }
    }

    #[test]
    fn what_is_stored_stays_as_it_is((from, to, value) in one_way(), lossy in prop_oneof![Just(Lossy::Hold), Just(Lossy::Fit)]) {
        if let Ok(there) = convert(&value, &from, &to, lossy) {
            let again = convert(&there, &to, &to, Lossy::Hold);
            prop_assert!(again == Ok(there.clone()), "{} -> {}: {}", from.native, to.native, there.to_text());
        }
    }

    #[test]
    fn fitting_changes_only_what_does_not_fit((from, to, value) in one_way()) {
        if let Ok(there) = convert(&value, &from, &to, Lossy::Hold) {
            let fitted = convert(&value, &from, &to, Lossy::Fit);
            prop_assert!(fitted == Ok(there), "{} -> {}: {}", from.native, to.native, value.to_text());
        }
    }

    #[test]
    fn compatible_keeps_its_word((from, to, value) in one_way()) {
        let stored = convert(&value, &from, &to, Lossy::Hold);
        match compatible(&from, &to) {
            Compatibility::Exact => prop_assert!(stored.is_ok() || special(&value), "{} -> {}: {}", from.native, to.native, value.to_text()),
            Compatibility::Never(_) => prop_assert!(convert(&value, &from, &to, Lossy::Fit).is_err(), "{} -> {}", from.native, to.native),
            Compatibility::Lossy(_) => (),
        }
    }

    #[test]
    fn any_text_into_any_column_never_panics(input in ".*", to in proptest::sample::select(columns())) {
        let value = Value::Text(input);
        let _ = convert(&value, &plain_text(), &to, Lossy::Hold);
        let _ = convert(&value, &plain_text(), &to, Lossy::Fit);
    }
}
