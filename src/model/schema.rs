//! Tables and columns as an endpoint's catalog describes them, in words no engine owns.

use std::fmt;

use super::Value;

/// A table or app object by name. `schema` is PostgreSQL's schema or MySQL's database; empty where
/// the endpoint has only one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// The schema, or empty.
    pub schema: String,
    /// The table's own name, as the catalog spells it.
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.schema.is_empty() { f.write_str(&self.name) } else { write!(f, "{}.{}", self.schema, self.name) }
    }
}

/// What a column can hold, in Twinrow's types: what `mapping` needs to convert towards it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Declared boolean.
    Bool,
    /// Integers within these bounds.
    Int {
        /// The smallest value it takes.
        min: i128,
        /// The largest value it takes.
        max: i128,
    },
    /// Decimals of at most `precision` digits, `scale` of them behind the point; `None` is
    /// unlimited.
    Decimal {
        /// Digits in all and behind the point.
        limit: Option<(u32, u32)>,
    },
    /// Decimals that are stored as a 64-bit integer or a double (SQLite's `NUMERIC`): what neither
    /// gives back exactly doesn't fit (D7).
    Number,
    /// Binary float.
    Float {
        /// Single precision.
        single: bool,
    },
    /// Text.
    Text {
        /// The most characters (code points) it takes.
        max: Option<u64>,
        /// Whether the engine cuts or pads blanks at the end (`char(n)`).
        padded: bool,
        /// The narrowest character set that matters.
        charset: Charset,
    },
    /// Bytes, at most this many; `padded` for `binary(n)`.
    Bytes {
        /// The most bytes.
        max: Option<u64>,
        /// Filled with zero bytes to its length.
        padded: bool,
    },
    /// Calendar date.
    Date,
    /// Time of day, with this many fractional digits.
    Time {
        /// 0 to 6.
        digits: u8,
    },
    /// Date and time without a zone.
    DateTime {
        /// 0 to 6.
        digits: u8,
    },
    /// A moment in time.
    Instant {
        /// 0 to 6.
        digits: u8,
    },
    /// UUID as a type of its own.
    Uuid,
    /// JSON document.
    Json,
    /// JSON document whose numbers are stored as 64-bit integers or doubles (MySQL, D18).
    JsonDoubles,
    /// One of these labels.
    Enum(Vec<String>),
    /// A column that takes any value as it is (SQLite without affinity, an app's JSON field).
    Any,
    /// A type with no counterpart; maps only to the same kind, under its engine's name for it.
    Other(String),
}

impl Kind {
    /// Whether a value is of this kind. A column may hold others (SQLite), and one without a type, or with one that is not
    /// known here, promises none.
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Kind::Bool => matches!(value, Value::Bool(_)),
            Kind::Int { .. } => matches!(value, Value::Int(_)),
            Kind::Decimal { .. } | Kind::Number => matches!(value, Value::Decimal(_)),
            Kind::Float { .. } => matches!(value, Value::Float(_)),
            Kind::Text { .. } | Kind::Enum(_) => matches!(value, Value::Text(_)),
            Kind::Bytes { .. } => matches!(value, Value::Bytes(_)),
            Kind::Date => matches!(value, Value::Date(_)),
            Kind::Time { .. } => matches!(value, Value::Time(_)),
            Kind::DateTime { .. } => matches!(value, Value::DateTime(_)),
            Kind::Instant { .. } => matches!(value, Value::Instant(_)),
            Kind::Uuid => matches!(value, Value::Uuid(_)),
            Kind::Json | Kind::JsonDoubles => matches!(value, Value::Json(_)),
            Kind::Any | Kind::Other(_) => false,
        }
    }
}

/// Which characters a text column can store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// All of Unicode.
    Unicode,
    /// All of Unicode but U+0000 (PostgreSQL).
    UnicodeNoNul,
    /// The basic plane only (utf8mb3).
    Basic,
    /// ISO 8859-1 as MySQL has it.
    Latin1,
    /// ASCII.
    Ascii,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name as the catalog spells it.
    pub name: String,
    /// What it can hold.
    pub kind: Kind,
    /// The engine's own name of the type, for casts and for people.
    pub native: String,
    /// Whether it takes `NULL`.
    pub nullable: bool,
    /// Whether the engine computes it and refuses writes.
    pub computed: bool,
    /// Whether it has a default, or a trigger may fill it, so that a create may leave it out.
    pub has_default: bool,
    /// Whether the engine numbers it, or is known to have a trigger that does.
    pub numbered: bool,
}

/// Who assigns the primary key of a new row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Identity, serial or auto_increment: the engine numbers rows and never uses a number again.
    Generated,
    /// As `Generated`, but a deleted number may come back (SQLite without AUTOINCREMENT).
    GeneratedReused,
    /// A default expression makes it (`gen_random_uuid()`), never the same twice.
    Default,
    /// A trigger sets it.
    Trigger,
    /// The writer must bring it: a natural key. Needs `keys: copy`, a mapped field per part, or is refused (S4-5).
    Given,
}

impl KeySource {
    /// Whether a key that is free again may be given to another record (C4).
    pub fn reuses(self) -> bool {
        match self {
            KeySource::GeneratedReused | KeySource::Given => true,
            KeySource::Generated | KeySource::Default | KeySource::Trigger => false,
        }
    }
}

/// A foreign key of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its columns.
    pub columns: Vec<String>,
    /// The table it refers to.
    pub references: TableName,
    /// The columns it refers to.
    pub referenced: Vec<String>,
    /// Whether deleting or re-keying the parent changes rows here (CASCADE, SET NULL).
    pub cascades: bool,
}

/// A table as the catalog describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// All columns in their order.
    pub columns: Vec<Column>,
    /// The primary key's columns, as indexes into `columns`; a declared unique key without NULLs
    /// stands in where there is none (A73).
    pub key: Vec<usize>,
    /// Who assigns the key of a new row.
    pub key_source: KeySource,
    /// Other unique keys, as indexes into `columns`.
    pub uniques: Vec<Vec<usize>>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// What its triggers can't see, in words, for `check`: partitions, cascades, no TRUNCATE event.
    pub blind_spots: Vec<String>,
    /// Why it can't be tracked at all (a view, MyISAM, no key), with what would help.
    pub refused: Option<String>,
}

impl Table {
    /// The index of the column of this name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Whether this column is a part of the key that its own side gives out: nobody else writes it. Of several parts only
    /// those that are known to be (a partitioned table's number, beside the date it is parted by).
    pub fn gives_out(&self, column: usize) -> bool {
        let alone = self.key.len() == 1 && matches!(self.key_source, KeySource::Trigger);
        self.key.contains(&column) && (self.columns[column].numbered || alone)
    }

    /// The key's columns.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().map(|i| &self.columns[*i])
    }
}

/// One side of a link: a table and the columns that take part, in the order of the link's fields.
///
/// Rows given to and taken from an endpoint have one value per entry of `columns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// The table.
    pub table: Table,
    /// The mapped columns, as indexes into `table.columns`.
    pub columns: Vec<usize>,
}

impl Collection {
    /// The mapped column of field `field`.
    pub fn column(&self, field: usize) -> &Column {
        &self.table.columns[self.columns[field]]
    }

    /// Whether field `field` is part of a unique key: what rows of other tables may refer to.
    pub fn is_unique(&self, field: usize) -> bool {
        let column = &self.columns[field];
        self.table.key.contains(column) || self.table.uniques.iter().any(|columns| columns.contains(column))
    }

    /// The mapped columns in field order.
    pub fn mapped(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().map(|i| &self.table.columns[*i])
    }
}
