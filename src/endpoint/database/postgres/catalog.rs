//! Tables as PostgreSQL's catalog describes them.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::session::Conn;
use super::value::kind_of;
use crate::endpoint::Born;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::{Column, ForeignKey, KeySource, Kind, Table, TableName};

/// A table, and what only PostgreSQL's own code needs to know of it.
#[derive(Clone, Debug)]
pub(super) struct Described {
    /// As everyone sees it.
    pub(super) table: Table,
    /// Its partitions and inheritance children, quoted.
    pub(super) members: Vec<String>,
    /// Whether it is partitioned.
    pub(super) partitioned: bool,
    /// The columns that decide which partition a row is in.
    pub(super) parted_by: Vec<String>,
    /// Whether it can't have statement triggers that see every change: it is partitioned, a
    /// partition, or takes part in inheritance.
    pub(super) by_row: bool,
    /// Per key column, how a new value is drawn beforehand.
    pub(super) draws: Vec<Draw>,
    /// Whether an identity column refuses values of ours unless told to take them.
    pub(super) identity_always: bool,
}

/// How a key column of a new row gets its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draw {
    /// The default as an expression, where this user may evaluate it.
    pub(super) expression: Option<String>,
    /// The sequence behind it, quoted.
    pub(super) sequence: Option<String>,
}

/// A name in double quotes.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as an SQL literal; `standard_conforming_strings` is on.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A table's full name, quoted.
pub(super) fn quote_table(name: &TableName) -> String {
    format!("{}.{}", quote(&name.schema), quote(&name.name))
}

/// The tables of these names in their order, or all.
pub(super) async fn describe(conn: &mut Conn, names: Option<&[TableName]>) -> Result<Vec<Described>> {
    let wanted: Option<Vec<TableName>> = names.map(|names| names.iter().map(in_schema).collect());
    let found = load(conn, wanted.as_deref()).await?;
    let Some(wanted) = wanted else { return Ok(found) };
    let mut described = Vec::with_capacity(wanted.len());
    for name in wanted {
        match found.iter().position(|one| one.table.name == name) {
            Some(at) => described.push(found[at].clone()),
            None => return Err(missing(conn, &name).await),
        }
    }
    Ok(described)
}

/// A name without a schema is one of `public`.
fn in_schema(name: &TableName) -> TableName {
    let schema = if name.schema.is_empty() { "public" } else { &name.schema };
    TableName { schema: schema.to_owned(), name: name.name.clone() }
}

async fn missing(conn: &mut Conn, name: &TableName) -> Error {
    let error = Error::new(ErrorKind::Schema, format!("table {name} does not exist, or this user may not see it"));
    let Ok(all) = load(conn, None).await else { return error };
    let distance = |one: &Described| strsim::damerau_levenshtein(&one.table.name.to_string(), &name.to_string());
    match all.iter().min_by_key(|one| distance(one)) {
        Some(nearest) if distance(nearest) <= 4 => error.hint(format!("did you mean {}?", nearest.table.name)),
        _ => error,
    }
}

async fn load(conn: &mut Conn, names: Option<&[TableName]>) -> Result<Vec<Described>> {
    let schemas: Option<Vec<&str>> = names.map(|names| names.iter().map(|name| name.schema.as_str()).collect());
    let tables: Option<Vec<&str>> = names.map(|names| names.iter().map(|name| name.name.as_str()).collect());
    let rows = conn.query(include_str!("../../../../sql/postgres/catalog_tables.sql"), &[&schemas, &tables]).await?;
    let oids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let columns = conn.query(include_str!("../../../../sql/postgres/catalog_columns.sql"), &[&oids]).await?;
    let uniques = conn.query(include_str!("../../../../sql/postgres/catalog_uniques.sql"), &[&oids]).await?;
    let foreign = conn.query(include_str!("../../../../sql/postgres/catalog_foreign_keys.sql"), &[&oids]).await?;
    let (columns, uniques, foreign) = (by_table(&columns), by_table(&uniques), by_table(&foreign));
    Ok(rows.iter().zip(&oids).map(|(row, oid)| build(row, of(&columns, *oid), of(&uniques, *oid), of(&foreign, *oid))).collect())
}

fn of<'a, 'b>(map: &'a HashMap<i64, Vec<&'b Row>>, oid: i64) -> &'a [&'b Row] {
    map.get(&oid).map(Vec::as_slice).unwrap_or_default()
}

fn by_table(rows: &[Row]) -> HashMap<i64, Vec<&Row>> {
    let mut map: HashMap<i64, Vec<&Row>> = HashMap::new();
    for row in rows {
        map.entry(row.get(0)).or_default().push(row);
    }
    map
}

fn build(row: &Row, columns: &[&Row], uniques: &[&Row], foreign: &[&Row]) -> Described {
    let name = TableName { schema: row.get(1), name: row.get(2) };
    let (kind, persistence): (&str, &str) = (row.get(3), row.get(4));
    let (is_partition, inherits, inserts_trigger): (bool, bool, bool) = (row.get(5), row.get(6), row.get(7));
    let members: Vec<String> = row.get(8);
    let numbers: Vec<i64> = columns.iter().map(|column| column.get(1)).collect();
    let mut described: Vec<Column> = columns.iter().map(|column| describe_column(column)).collect();
    let uniques = unique_keys(uniques, &numbers);
    let key = choose_key(&uniques, &described);
    // Which of them it fills nobody knows.
    key.iter().for_each(|part| described[*part].has_default |= inserts_trigger);
    let by_row = kind == "p" || is_partition || inherits || !members.is_empty();
    let draws: Vec<Draw> = key.iter().map(|i| draw(columns[*i])).collect();
    let mut table = Table {
        key_source: key_source(&key, columns, inserts_trigger),
        uniques: uniques.into_iter().map(|(_, columns)| columns).filter(|columns| *columns != key).collect(),
        foreign_keys: foreign.iter().map(|row| foreign_key(row)).collect(),
        blind_spots: blind_spots(kind, persistence, by_row),
        refused: None,
        columns: described,
        name,
        key,
    };
    table.refused = if is_partition { Some(PARTITION.into()) } else { refusal(kind, persistence, &table) };
    let identity_always = columns.iter().any(|column| column.get::<_, &str>(10) == "a");
    Described { table, members, partitioned: kind == "p", parted_by: row.get(9), by_row, draws, identity_always }
}

fn describe_column(row: &Row) -> Column {
    let native: String = row.get(4);
    Column {
        name: row.get(2),
        kind: kind_of(row.get(3), &native, row.get(5), row.get(6)),
        native,
        nullable: row.get(7),
        computed: row.get(8),
        has_default: row.get(9),
        numbered: numbered(row),
    }
}

/// Whether it is the primary key, and its columns as indexes.
fn unique_keys(rows: &[&Row], numbers: &[i64]) -> Vec<(bool, Vec<usize>)> {
    rows.iter()
        .filter_map(|row| {
            let parts: Vec<i64> = row.get(2);
            let columns: Option<Vec<usize>> = parts.iter().map(|part| numbers.iter().position(|number| number == part)).collect();
            Some((row.get(1), columns?))
        })
        .collect()
}

/// The primary key, else the first unique key without NULLs (A73).
fn choose_key(uniques: &[(bool, Vec<usize>)], columns: &[Column]) -> Vec<usize> {
    let complete = |key: &[usize]| key.iter().all(|i| !columns[*i].nullable);
    let chosen = uniques.iter().find(|(primary, key)| *primary || complete(key));
    chosen.map(|(_, key)| key.clone()).unwrap_or_default()
}

fn draw(row: &Row) -> Draw {
    let (identity, default, sequence, may_use): (&str, Option<String>, Option<String>, bool) =
        (row.get(10), row.get(11), row.get(12), row.get(13));
    let expression = match (&sequence, identity) {
        (Some(sequence), "a" | "d") => may_use.then(|| format!("pg_catalog.nextval({})", literal(sequence))),
        // A sequence of its own that this user may not use: the insert itself may.
        (Some(_), _) if !may_use => None,
        _ => default,
    };
    Draw { expression, sequence }
}

/// An identity column, or one whose default is a sequence.
fn numbered(column: &Row) -> bool {
    let default: Option<&str> = column.get(11);
    !column.get::<_, &str>(10).is_empty() || default.is_some_and(|default| default.contains("nextval("))
}

fn key_source(key: &[usize], columns: &[&Row], inserts_trigger: bool) -> KeySource {
    let defaulted = |i: &usize| columns[*i].get::<_, Option<&str>>(11).is_some();
    if key.iter().any(|i| numbered(columns[*i])) {
        KeySource::Generated
    } else if key.iter().any(defaulted) {
        KeySource::Default
    } else if inserts_trigger {
        KeySource::Trigger
    } else {
        KeySource::Given
    }
}

fn foreign_key(row: &Row) -> ForeignKey {
    ForeignKey {
        columns: row.get(3),
        references: TableName { schema: row.get(1), name: row.get(2) },
        referenced: row.get(4),
        cascades: row.get(5),
    }
}

fn blind_spots(kind: &str, persistence: &str, by_row: bool) -> Vec<String> {
    let mut spots = Vec::new();
    if by_row {
        let what = if kind == "p" { "partitions" } else { "inheritance children or partitions" };
        spots.push(format!(
            "rows come and go without a trigger when {what} are attached, detached or dropped: noticed, and the table is compared"
        ));
    }
    if persistence == "u" {
        spots.push("it is unlogged: after a crash the server empties it without a trigger".to_owned());
    }
    spots
}

/// Its rows are those of the table it is part of, whose triggers see them.
const PARTITION: &str = "it is a partition: link the table it is part of";

/// Why it can't be tracked.
fn refusal(kind: &str, persistence: &str, table: &Table) -> Option<String> {
    match (kind, persistence) {
        ("v" | "m", _) => return Some("it is a view, which has no rows of its own: link the tables beneath it".into()),
        ("f", _) => return Some("it is a foreign table: connect to the server that holds it".into()),
        (_, "t") => return Some("it is a temporary table".into()),
        _ => {}
    }
    if table.key.is_empty() {
        let candidates: Vec<&str> =
            table.columns.iter().filter(|c| !c.nullable && is_key_kind(&c.kind)).map(|c| c.name.as_str()).collect();
        let candidates = if candidates.is_empty() { "none is declared not null".to_owned() } else { candidates.join(", ") };
        return Some(format!("it has no primary key and no unique key without NULLs; columns that could be one: {candidates}"));
    }
    let column = table.key_columns().find(|column| !is_key_kind(&column.kind))?;
    Some(format!(
        "its key column {} has type {}, which can't be a key here: another unique key would help",
        column.name, column.native
    ))
}

/// Kinds that a log can hold typed and compare exactly.
fn is_key_kind(kind: &Kind) -> bool {
    log_type(kind).is_some()
}

/// The column type in a change log: the widest of the family, so that no key is ever too long for it (A42).
pub(super) fn log_type(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Bool => "boolean",
        Kind::Int { .. } => "bigint",
        Kind::Decimal { .. } => "numeric",
        Kind::Float { .. } => "double precision",
        Kind::Text { .. } | Kind::Enum(_) => "text collate \"C\"",
        Kind::Bytes { .. } => "bytea",
        Kind::Date => "date",
        Kind::Time { .. } => "time",
        Kind::DateTime { .. } => "timestamp",
        Kind::Instant { .. } => "timestamptz",
        Kind::Uuid => "uuid",
        Kind::Number | Kind::Json | Kind::JsonDoubles | Kind::Any | Kind::Other(_) => return None,
    })
}

/// See [`Endpoint::born`](crate::endpoint::Endpoint).
pub(super) async fn born(conn: &mut Conn, tables: &[TableName]) -> Result<Vec<Vec<Born>>> {
    let names: Vec<String> = tables.iter().map(|name| quote_table(&in_schema(name))).collect();
    let rows = conn.query(include_str!("../../../../sql/postgres/catalog_born.sql"), &[&names]).await?;
    // Counted from 1.
    let of = |place: i64| rows.iter().filter(move |row| row.get::<_, i64>(0) == place);
    let column = |row: &Row| Born::new(row.get(1), Some((row.get(2), row.get(3))), row.get(4));
    Ok((1..).take(names.len()).map(|place| of(place).map(column).collect()).collect())
}
