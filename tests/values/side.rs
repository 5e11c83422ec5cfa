//! An engine as the application's plain driver sees it: how a value is put into a column, and what stands
//! there afterwards, as one text that is the same for the same value on every engine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use bigdecimal::BigDecimal;

use crate::support::{self, Lab};

/// The four engines; PostgreSQL stands for one of two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    Postgres18,
    Mysql,
    Mariadb,
    Sqlite,
}

/// What a column holds, as far as reading and writing it by hand goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Bool,
    Int,
    Bit,
    Decimal,
    Single,
    Double,
    Text,
    Bytes,
    Date,
    Time,
    Moment,
    Instant,
    Json,
    Geometry,
    Any,
    Other,
}

impl Engine {
    /// The letter by which the table of cases names it.
    pub fn letter(self) -> char {
        match self {
            Engine::Postgres | Engine::Postgres18 => 'P',
            Engine::Mysql => 'M',
            Engine::Mariadb => 'A',
            Engine::Sqlite => 'S',
        }
    }

    /// A fresh database of it, with the types the cases need.
    pub async fn lab(self) -> Result<Arc<dyn Lab>, String> {
        let lab = match self {
            Engine::Postgres => support::postgres::lab("TWINROW_TEST_POSTGRES15").await?,
            Engine::Postgres18 => support::postgres::lab("TWINROW_TEST_POSTGRES18").await?,
            Engine::Mysql => support::mysql::mysql().await?,
            Engine::Mariadb => support::mysql::mariadb().await?,
            Engine::Sqlite => support::sqlite::lab().await?,
        };
        match self.letter() {
            'P' => lab.user("create type mood as enum ('sad', 'ok', 'it''s'); create extension if not exists hstore").await,
            'M' | 'A' => lab.user("set session time_zone = '+00:00', session sql_mode = ''").await,
            _ => {}
        }
        Ok(lab)
    }

    fn family(self, native: &str) -> Family {
        let word = native.split(['(', ' ']).next().unwrap_or_default().to_ascii_lowercase();
        if native.ends_with("[]") {
            return Family::Other;
        }
        match word.as_str() {
            "boolean" => Family::Bool,
            "smallint" | "integer" | "bigint" | "tinyint" | "mediumint" | "int" | "year" | "oid" => Family::Int,
            "bit" if self.letter() != 'P' => Family::Bit,
            "numeric" | "decimal" => Family::Decimal,
            "real" if self == Engine::Sqlite => Family::Double,
            "real" | "float" => Family::Single,
            "double" => Family::Double,
            "text" | "varchar" | "char" | "tinytext" | "mediumtext" | "longtext" | "mood" | "enum" | "set" => Family::Text,
            "citext" | "name" | "character" => Family::Text,
            "bytea" | "blob" | "binary" | "varbinary" | "longblob" | "tinyblob" | "mediumblob" => Family::Bytes,
            "date" => Family::Date,
            "time" if native.contains("with time zone") => Family::Other,
            "time" => Family::Time,
            "timestamptz" => Family::Instant,
            "timestamp" if self.letter() != 'P' => Family::Instant,
            "timestamp" | "datetime" => Family::Moment,
            "json" | "jsonb" => Family::Json,
            "point" if self.letter() != 'P' => Family::Geometry,
            "" => Family::Any,
            _ => Family::Other,
        }
    }

    /// An expression for `value` that can be assigned to a column of type `native`.
    pub fn put(self, native: &str, value: &str) -> String {
        let family = self.family(native);
        match self.letter() {
            'P' => match family {
                Family::Bytes => format!("'\\x{value}'"),
                _ => format!("'{}'", value.replace('\'', "''")),
            },
            'S' => match family {
                Family::Bool => if value == "true" { "1" } else { "0" }.to_owned(),
                Family::Int | Family::Decimal => value.to_owned(),
                Family::Double => value.replace("inf", "9e999"),
                Family::Bytes => format!("x'{value}'"),
                Family::Instant => text_of_bytes("cast(x'{}' as text)", &value.replacen(' ', "T", 1)),
                Family::Any => match value.split_once(' ') {
                    Some(("integer", number)) => number.to_owned(),
                    Some(("real", number)) => format!("cast({number} as real)"),
                    Some(("blob", hex)) => format!("x'{hex}'"),
                    Some(("text", text)) => text_of_bytes("cast(x'{}' as text)", text),
                    _ => panic!("{value}"),
                },
                Family::Json if value.starts_with("real ") || value.starts_with("integer ") => {
                    value.split_once(' ').unwrap().1.to_owned()
                }
                _ => text_of_bytes("cast(x'{}' as text)", value),
            },
            _ => match family {
                Family::Bit => value.to_owned(),
                // With an exponent, or it is read as a decimal, which has no negative zero.
                Family::Single | Family::Double if value.contains('e') => value.to_owned(),
                Family::Single | Family::Double => format!("{value}e0"),
                Family::Bytes => format!("x'{value}'"),
                Family::Geometry => format!("st_geomfromtext('{value}')"),
                Family::Text | Family::Json => text_of_bytes("convert(x'{}' using utf8mb4)", value),
                Family::Instant => format!("'{}'", value.trim_end_matches('Z')),
                _ => format!("'{value}'"),
            },
        }
    }

    /// The expressions that read a column without any loss.
    fn read(self, native: &str, name: &str) -> String {
        let family = self.family(native);
        match self.letter() {
            'P' => match family {
                Family::Single | Family::Double => format!("encode(float8send({name}::float8), 'hex')"),
                Family::Instant => format!("({name} at time zone 'UTC')::text"),
                _ => format!("{name}::text"),
            },
            'S' => format!(
                "case when {name} is null then null when typeof({name}) in ('text', 'blob') then typeof({name}) || ' ' || hex({name}) \
                 when typeof({name}) = 'real' then {name} else typeof({name}) || ' ' || {name} end"
            ),
            _ => match family {
                Family::Bit => format!("cast({name} as unsigned)"),
                Family::Single => format!("cast({name} as double)"),
                Family::Double => name.to_owned(),
                Family::Text | Family::Json | Family::Other => format!("hex(convert({name} using utf8mb4))"),
                Family::Bytes => format!("hex({name})"),
                Family::Geometry => format!("st_astext({name})"),
                _ => format!("cast({name} as char)"),
            },
        }
    }

    /// What was read, spelled as the cases spell values.
    fn spell(self, native: &str, raw: &str) -> String {
        let family = self.family(native);
        match (self.letter(), family) {
            ('P', Family::Bytes) => raw.trim_start_matches("\\x").to_owned(),
            ('P', Family::Single | Family::Double) => f64::from_bits(u64::from_str_radix(raw, 16).unwrap()).to_string(),
            ('P', Family::Instant) if !raw.contains("infinity") => format!("{raw}Z"),
            ('M' | 'A', Family::Text | Family::Json | Family::Other) => text_of_hex(raw),
            ('M' | 'A', Family::Bytes) => raw.to_lowercase(),
            ('M' | 'A', Family::Time | Family::Moment) => trimmed(raw),
            ('M' | 'A', Family::Instant) => format!("{}Z", trimmed(raw)),
            ('S', _) => self.spell_stored(family, raw),
            _ => raw.to_owned(),
        }
    }

    /// SQLite: the storage class is part of the value, where it is not the one the column is for.
    fn spell_stored(self, family: Family, raw: &str) -> String {
        let (class, stored) = match raw.split_once(' ') {
            Some(("text", hex)) => ("text", text_of_hex(hex)),
            Some(("blob", hex)) => ("blob", hex.to_lowercase()),
            Some((class, stored)) => (class, stored.to_owned()),
            None => ("real", raw.to_owned()),
        };
        match (family, class) {
            (Family::Bool, "integer") if stored == "0" => "false".to_owned(),
            (Family::Bool, "integer") if stored == "1" => "true".to_owned(),
            (Family::Int, "integer") | (Family::Decimal, "integer" | "real") | (Family::Double, "real") => stored,
            (Family::Instant, "text") => stored.replacen('T', " ", 1),
            (Family::Text | Family::Date | Family::Time | Family::Moment | Family::Json | Family::Other, "text") => stored,
            (Family::Bytes, "blob") => stored,
            _ => format!("{class} {stored}"),
        }
    }

    /// Whether two spellings are the same value of a column of this type.
    pub fn same(self, native: &str, is: &str, should: &str) -> bool {
        let float = |text: &str| f64::from_str(text).map(f64::to_bits);
        match self.family(native) {
            Family::Single => f32::from_str(is).map(f32::to_bits) == f32::from_str(should).map(f32::to_bits),
            Family::Double => float(is) == float(should),
            Family::Decimal => match (BigDecimal::from_str(is), BigDecimal::from_str(should)) {
                (Ok(a), Ok(b)) => a == b,
                _ => is == should,
            },
            // Where the server spells documents itself, what they say is compared.
            Family::Json if native == "jsonb" || self == Engine::Mysql => meaning(is) == meaning(should),
            _ => is == should,
        }
    }
}

fn text_of_bytes(expression: &str, text: &str) -> String {
    let hex = text.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "{byte:02x}");
        all
    });
    expression.replacen("{}", &hex, 1)
}

fn text_of_hex(hex: &str) -> String {
    let bytes: Vec<u8> = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

fn trimmed(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// A document with its keys in order and its numbers as decimals.
fn meaning(text: &str) -> String {
    fn write(document: &serde_json::Value) -> String {
        match document {
            serde_json::Value::Number(number) => BigDecimal::from_str(&number.to_string()).unwrap().normalized().to_string(),
            serde_json::Value::Array(items) => items.iter().fold("[".to_owned(), |all, item| all + &write(item) + ","),
            serde_json::Value::Object(fields) => {
                let sorted: BTreeMap<_, _> = fields.iter().collect();
                sorted.iter().fold("{".to_owned(), |all, (name, item)| format!("{all}{name:?}:{},", write(item)))
            }
            other => other.to_string(),
        }
    }
    serde_json::from_str(text).map_or_else(|_| text.to_owned(), |document| write(&document))
}

/// The rows of a table of the ring, by note: every column as the driver gives it.
pub type Raw = BTreeMap<String, Vec<Option<String>>>;

/// Reads all rows of `vals`: `memo`, then the columns of these types.
pub async fn read_all(engine: Engine, lab: &dyn Lab, natives: &[String]) -> Raw {
    let mut columns = String::from("note, memo");
    for (at, native) in natives.iter().enumerate() {
        let _ = write!(columns, ", {}", engine.read(native, &format!("f{at:03}")));
    }
    let rows = lab.user_rows(&format!("select {columns} from vals")).await;
    rows.into_iter().map(|mut row| (row.remove(0).unwrap(), row)).collect()
}

/// The field of a row as the cases spell it.
pub fn spelled(engine: Engine, native: &str, raw: &Option<String>) -> Option<String> {
    raw.as_ref().map(|raw| engine.spell(native, raw))
}
