//! Records between JSON and values. Numbers go by their digits, never through a double; what is not what
//! the manifest declares is not guessed.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use serde_json::{Map, Number, Value as Json};

use super::manifest::{AbsentField, FieldType, Numbers};
use crate::model::{Charset, Column, Kind, Row, Value, time};

/// A mapped column: the id, or a field with its type.
#[derive(Clone, Debug)]
pub(super) enum Mapped {
    Id,
    Field(String, FieldType),
}

/// The most digits every double gives back.
const DOUBLE_DIGITS: u64 = 15;

impl FieldType {
    /// What a field of this type takes.
    pub fn column(self, name: &str) -> Column {
        let (kind, native) = match self {
            FieldType::Text => (Kind::Text { max: None, padded: false, charset: Charset::Unicode }, "text"),
            FieldType::Integer => (Kind::Int { min: i64::MIN.into(), max: i64::MAX.into() }, "integer"),
            FieldType::Decimal => (Kind::Decimal { limit: None }, "decimal"),
            FieldType::DecimalText => (Kind::Decimal { limit: None }, "decimal_text"),
            FieldType::Float => (Kind::Float { single: false }, "float"),
            FieldType::Boolean => (Kind::Bool, "boolean"),
            FieldType::Date => (Kind::Date, "date"),
            FieldType::Datetime => (Kind::DateTime { digits: 6 }, "datetime"),
            FieldType::Instant => (Kind::Instant { digits: 6 }, "instant"),
            FieldType::Uuid => (Kind::Uuid, "uuid"),
            FieldType::Json => (Kind::Json, "json"),
        };
        Column {
            name: name.to_owned(),
            kind,
            native: native.to_owned(),
            nullable: true,
            computed: false,
            has_default: true,
            numbered: false,
        }
    }
}

/// The row of a record, or why it can't be read.
pub(super) fn row(record: &Json, id: &str, mapped: &[Mapped], absent: AbsentField) -> Result<Row, String> {
    let read = |column: &Mapped| match column {
        Mapped::Id => Ok(Value::Text(id.to_owned())),
        Mapped::Field(name, field) => match (record.get(name), absent) {
            (Some(value), _) => from_json(value, *field)
                .ok_or_else(|| format!("field {name}: {} where {} is declared", kind(value), word(*field))),
            (None, AbsentField::Empty) => Ok(Value::Null),
            (None, AbsentField::Unreadable) => Err(format!("field {name} is missing from the record")),
        },
    };
    mapped.iter().map(read).collect()
}

/// The fields of a record to write, or why one has no form there.
pub(super) fn record(values: &[(usize, Value)], mapped: &[Mapped], numbers: Numbers) -> Result<Json, String> {
    let mut record = Map::new();
    for (at, value) in values {
        if let Mapped::Field(name, field) = &mapped[*at] {
            let json = to_json(value, *field, numbers).map_err(|cause| format!("field {name}: {cause}"))?;
            record.insert(name.clone(), json);
        }
    }
    Ok(Json::Object(record))
}

/// One value as the app has it.
pub(super) fn field(value: &Value, field: FieldType, numbers: Numbers) -> Result<Json, String> {
    to_json(value, field, numbers)
}

fn from_json(json: &Json, field: FieldType) -> Option<Value> {
    if json.is_null() {
        return Some(Value::Null);
    }
    Some(match field {
        FieldType::Json => Value::Json(json.to_string()),
        FieldType::Boolean => Value::Bool(json.as_bool()?),
        FieldType::Integer => Value::Int(integer(json)?),
        FieldType::Decimal => Value::Decimal(decimal(&json.as_number()?.to_string())?),
        FieldType::Float => Value::Float(json.as_number()?.to_string().parse().ok()?),
        FieldType::Text => Value::Text(json.as_str()?.to_owned()),
        FieldType::DecimalText => Value::Decimal(decimal(json.as_str()?)?),
        FieldType::Date => Value::Date(time::parse_date(json.as_str()?)?),
        FieldType::Datetime => Value::DateTime(time::parse_datetime(json.as_str()?)?),
        FieldType::Instant => Value::Instant(time::parse_instant(json.as_str()?)?),
        FieldType::Uuid => Value::Uuid(uuid::Uuid::parse_str(json.as_str()?).ok()?.into_bytes()),
    })
}

/// `5`, and `5.0` as some apps spell it.
fn integer(json: &Json) -> Option<i128> {
    let text = json.as_number()?.to_string();
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    let number = decimal(&text)?;
    let whole = number.is_integer().then(|| number.with_scale(0).to_plain_string())?;
    whole.parse::<i64>().ok().map(i128::from)
}

/// Exponents that would make millions of digits of a short text are refused.
fn decimal(text: &str) -> Option<BigDecimal> {
    let number = BigDecimal::from_str(text).ok()?;
    (number.as_bigint_and_exponent().1.unsigned_abs() <= 10_000).then_some(number)
}

fn to_json(value: &Value, field: FieldType, numbers: Numbers) -> Result<Json, String> {
    let number = |text: String| Number::from_str(&text).map(Json::Number).map_err(|_| "it is no number in JSON".to_owned());
    match (value, field) {
        (Value::Null, _) => Ok(Json::Null),
        (Value::Bool(value), _) => Ok(Json::Bool(*value)),
        (Value::Int(value), _) => number(value.to_string()),
        (Value::Decimal(value), FieldType::Decimal) => {
            let digits = value.normalized().digits();
            if numbers == Numbers::Double && digits > DOUBLE_DIGITS {
                return Err(format!("a decimal of {digits} digits would be rounded by this app: declare it decimal_text"));
            }
            number(value.to_plain_string())
        }
        (Value::Float(value), _) => {
            Number::from_f64(*value).map(Json::Number).ok_or_else(|| "it is no number in JSON".to_owned())
        }
        (Value::Json(text), _) => serde_json::from_str(text).map_err(|_| "it is no JSON".to_owned()),
        (Value::Bytes(_), _) => Err("bytes have no form in JSON".to_owned()),
        (value, _) => Ok(Json::String(value.to_text())),
    }
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

fn word(field: FieldType) -> String {
    field.column("").native
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, field: FieldType) -> Option<Value> {
        from_json(&serde_json::from_str(text).unwrap(), field)
    }

    fn written(value: &Value, field: FieldType) -> Result<String, String> {
        to_json(value, field, Numbers::Double).map(|json| json.to_string())
    }

    #[test]
    fn c19_numbers_are_read_and_written_by_their_digits() {
        let large = Value::Int(9_007_199_254_740_993);
        assert_eq!(read("9007199254740993", FieldType::Integer), Some(large.clone()));
        assert_eq!(written(&large, FieldType::Integer).unwrap(), "9007199254740993");
        assert_eq!(read("9223372036854775808", FieldType::Integer), None, "beyond 64 bits");
        assert_eq!(read("5.0", FieldType::Integer), Some(Value::Int(5)));
        assert_eq!(read("5.5", FieldType::Integer), None);
        let exact = Value::Decimal(BigDecimal::from_str("0.10000000000000000555").unwrap());
        assert_eq!(read("0.10000000000000000555", FieldType::Decimal), Some(exact.clone()));
        assert!(written(&exact, FieldType::Decimal).unwrap_err().contains("decimal_text"), "D7");
        assert_eq!(written(&exact, FieldType::DecimalText).unwrap(), "\"0.10000000000000000555\"");
        assert_eq!(read("1e999999999", FieldType::Decimal), None);
    }

    #[test]
    fn what_is_not_as_declared_is_not_guessed() {
        let mapped = [Mapped::Id, Mapped::Field("age".into(), FieldType::Integer)];
        let read = |text: &str, absent| row(&serde_json::from_str(text).unwrap(), "a", &mapped, absent);
        assert_eq!(read("{\"age\":7}", AbsentField::Empty), Ok(vec![Value::Text("a".into()), Value::Int(7)]));
        assert_eq!(read("{\"age\":\"secret\"}", AbsentField::Empty), Err("field age: a text where integer is declared".into()));
        assert_eq!(read("{}", AbsentField::Empty).unwrap()[1], Value::Null);
        assert_eq!(read("{}", AbsentField::Unreadable), Err("field age is missing from the record".into()), "E13");
    }

    #[test]
    fn every_type_comes_back() {
        for (text, field) in [
            ("\"Zoë\"", FieldType::Text),
            ("true", FieldType::Boolean),
            ("\"2026-11-22\"", FieldType::Date),
            ("\"2026-11-22T13:45:00.5\"", FieldType::Datetime),
            ("\"2026-11-22T13:45:00.5Z\"", FieldType::Instant),
            ("\"9f1b4e3c-2c1d-4c5e-8f3a-0123456789ab\"", FieldType::Uuid),
            ("{\"a\":[1,null]}", FieldType::Json),
            ("1.5", FieldType::Float),
            ("null", FieldType::Text),
        ] {
            assert_eq!(written(&read(text, field).unwrap(), field).unwrap(), text);
        }
    }
}
