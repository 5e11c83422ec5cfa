//! Statements on the application's tables, and rows out of their results: the same for windows and
//! write transactions.

use std::collections::BTreeMap;

use tokio_postgres::Row as Answer;
use tokio_postgres::types::ToSql;

use super::catalog::{quote, quote_table};
use super::error::is_about_one_row;
use super::session::{Conn, in_order};
use super::value::{Param, Raw, carrier, cast, decode, select};
use crate::endpoint::database::{all, of_their_kinds};
use crate::endpoint::{Fetched, Room};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::{Collection, Column, Key, Kind, Row, Table, Value};

/// Parameters of a statement, each an array: one column of a set.
pub(super) type Columns<'a> = Vec<Vec<Param<'a>>>;

/// The columns as what the driver takes.
pub(super) fn params<'a>(columns: &'a Columns<'_>) -> Vec<&'a (dyn ToSql + Sync)> {
    columns.iter().map(|column| column as _).collect()
}

/// One array per key column.
pub(super) fn key_columns(table: &Table, keys: &[Key]) -> Result<Vec<Vec<Value>>> {
    if keys.iter().any(|key| key.0.len() != table.key.len()) {
        return Err(Error::new(ErrorKind::Internal, format!("a key does not have as many parts as that of {}", table.name)));
    }
    Ok((0..table.key.len())
        .map(|part| keys.iter().map(|key| adapt(&key.0[part], &table.columns[table.key[part]])).collect())
        .collect())
}

/// A key part out of the map has lost the name of its kind; its column knows it.
fn adapt(value: &Value, column: &Column) -> Value {
    match (value, &column.kind) {
        (Value::Other { kind: "key", text }, _) if text.ends_with("infinity") => {
            Value::Other { kind: "infinity", text: text.clone() }
        }
        (Value::Other { kind: "key", text }, Kind::Date | Kind::DateTime { .. } | Kind::Instant { .. }) => {
            Value::Other { kind: "far future", text: text.clone() }
        }
        _ => value.clone(),
    }
}

/// The values as parameters.
pub(super) fn as_params(columns: &[Vec<Value>]) -> Columns<'_> {
    columns.iter().map(|column| column.iter().map(Param).collect()).collect()
}

/// `unnest($1::int8[], …) with ordinality as v(k1, …, ord)`.
pub(super) fn unnest<'a>(columns: impl Iterator<Item = (&'a Column, String)>) -> String {
    unnest_of(columns, |array| array)
}

/// As [`unnest`], to be joined by the table's key. A planner that sees how long the arrays are reads a table of
/// a hundred thousand rows from end to end for each batch; looked up in the index, a batch costs a tenth.
pub(super) fn unnest_keyed<'a>(columns: impl Iterator<Item = (&'a Column, String)>) -> String {
    unnest_of(columns, |array| format!("(select {array})"))
}

fn unnest_of<'a>(columns: impl Iterator<Item = (&'a Column, String)>, array: impl Fn(String) -> String) -> String {
    let (arrays, names): (Vec<String>, Vec<String>) =
        columns.enumerate().map(|(i, (column, name))| (array(format!("${}::{}[]", i + 1, carrier(&column.kind))), name)).unzip();
    format!("unnest({}) with ordinality as v({}, ord)", arrays.join(", "), names.join(", "))
}

/// The key's columns with the names their parameters have: `k1`, `k2`.
pub(super) fn named_key(table: &Table) -> impl Iterator<Item = (&Column, String)> {
    table.key_columns().enumerate().map(|(i, column)| (column, format!("k{}", i + 1)))
}

/// `t."id" = v.k1 and …`
pub(super) fn same_key(table: &Table) -> String {
    let same = |(column, name): (&Column, String)| {
        format!("t.{} {} {}", quote(&column.name), operator("=", [column]), cast(column, &format!("v.{name}")))
    };
    named_key(table).map(same).collect::<Vec<_>>().join(" and ")
}

/// A comparison as the server defines it for its own types. Transactions run under the application's
/// `search_path`, which its triggers need; there, somebody may have defined an operator that fits better.
/// Types of extensions have theirs in the extension's schema.
pub(super) fn operator<'a>(sign: &str, columns: impl IntoIterator<Item = &'a Column>) -> String {
    let own = |column: &Column| matches!(column.kind, Kind::Text { .. }) && column.native.ends_with("citext");
    if columns.into_iter().any(own) { sign.to_owned() } else { format!("operator(pg_catalog.{sign})") }
}

/// The key's columns as [`read_key`] wants them.
pub(super) fn select_key(table: &Table) -> String {
    select_list(table.key_columns())
}

/// The key's columns and the mapped ones, as [`read_row`] wants them.
pub(super) fn select_row(collection: &Collection) -> String {
    select_list(collection.table.key_columns().chain(collection.mapped()))
}

fn select_list<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns.map(|column| select(column, &format!("t.{}", quote(&column.name)))).collect::<Vec<_>>().join(", ")
}

/// A key out of the result columns from `first` on.
pub(super) fn read_key(answer: &Answer, first: usize, table: &Table) -> std::result::Result<Key, String> {
    read_values(answer, first, table.key_columns()).map(Key)
}

/// The mapped values out of the result columns of a [`select_row`] from `first` on.
pub(super) fn read_row(answer: &Answer, first: usize, collection: &Collection) -> std::result::Result<Row, String> {
    read_values(answer, first + collection.table.key.len(), collection.mapped())
}

/// Values out of the result columns from `first` on.
pub(super) fn read_values<'a>(
    answer: &Answer,
    first: usize,
    columns: impl Iterator<Item = &'a Column>,
) -> std::result::Result<Row, String> {
    let value = |(i, column): (usize, &Column)| {
        let raw: Raw<'_> = answer.try_get(first + i).map_err(|error| error.to_string())?;
        decode(&column.kind, &raw).map_err(|why| format!("column {}: {why}", column.name))
    };
    all(columns.size_hint().1.unwrap_or_default(), columns.enumerate().map(value))
}

/// What a query returns of each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// The key and the mapped columns.
    Plain,
    /// And where and since when this version of the row is stored, which no other version of any row of the table has once
    /// its transaction has ended: the table must be an ordinary heap.
    Versions,
}

/// What [`read_version`] reads.
const VERSION: &str = "t.ctid, t.xmin";

/// The statement that reads rows by key; `ending` may lock them.
pub(super) fn fetch_sql(collection: &Collection, what: Rows, ending: &str) -> String {
    let version = if what == Rows::Versions { format!(", {VERSION}") } else { String::new() };
    keyed_sql(collection, &format!("{}{version}", select_row(collection)), ending)
}

/// The statement that locks rows by key, where nobody has locked them, and tells their versions only.
pub(super) fn lock_versions_sql(collection: &Collection) -> String {
    keyed_sql(collection, VERSION, LOCK)
}

/// The weaker lock lets the application insert children meanwhile.
pub(super) const LOCK: &str = "for no key update of t skip locked";

fn keyed_sql(collection: &Collection, list: &str, ending: &str) -> String {
    let table = &collection.table;
    format!(
        "select v.ord, {list} from {} join {} t on {} {ending}",
        unnest_keyed(named_key(table)),
        quote_table(&table.name),
        same_key(table)
    )
}

/// The version of a row out of the result columns from `first` on.
pub(super) fn read_version(answer: &Answer, first: usize) -> Option<String> {
    let part = |at| answer.try_get::<_, Raw<'_>>(at).ok()?.hex();
    Some(part(first)? + &part(first + 1)?)
}

/// The rows of a [`fetch_sql`] statement in the order of `keys`.
pub(super) fn fetched(collection: &Collection, what: Rows, keys: &[Key], answers: &[Answer]) -> Result<Vec<Fetched>> {
    let table = &collection.table;
    let version_at = 1 + table.key.len() + collection.columns.len();
    let mut rows = vec![Fetched::Absent; keys.len()];
    for answer in answers {
        let ord: i64 = answer.get(0);
        let at = usize::try_from(ord - 1).unwrap_or(usize::MAX);
        let Some(slot) = rows.get_mut(at) else { continue };
        *slot = match read_key(answer, 1, table) {
            Err(why) => Fetched::Unreadable(why),
            // Equal to the column's type or collation, but another key (C6).
            Ok(key) if key != keys[at] && key.encode() != keys[at].encode() => continue,
            // Inheritance children may repeat their parent's keys (A21).
            Ok(_) if *slot != Fetched::Absent => Fetched::Unreadable("several rows have this key".into()),
            Ok(_) => match read_row(answer, 1, collection) {
                Ok(row) if what == Rows::Versions => Fetched::Row(row, read_version(answer, version_at)),
                Ok(row) => Fetched::Row(row, None),
                Err(why) => Fetched::Unreadable(why),
            },
        };
    }
    Ok(rows)
}

/// Reads rows by key inside a transaction, as many as there is room for. A row the server can't read spoils only itself:
/// the others are read without it (A74).
pub(super) async fn fetch(conn: &mut Conn, collection: &Collection, what: Rows, keys: &[Key]) -> Result<Vec<Fetched>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let sql = fetch_sql(collection, what, "");
    let statement = conn.prepare(&sql).await?;
    let mut rows = vec![Fetched::Absent; keys.len()];
    let all = 0..keys.len();
    let mut ranges = vec![all];
    let mut room = Room::of_a_fetch();
    while let Some(range) = ranges.pop() {
        if room.is_full() {
            rows[range].fill(Fetched::Later);
            continue;
        }
        let part = &keys[range.clone()];
        let columns = key_columns(&collection.table, part)?;
        let columns = as_params(&columns);
        let params = params(&columns);
        let requests = vec![
            conn.command("savepoint part")?,
            conn.request_within(&statement, &params, &mut room)?,
            conn.command("release savepoint part")?,
        ];
        let mut answers = in_order(requests).await.into_iter();
        if let Some(Err(error)) = answers.next() {
            return conn.check(Err(error));
        }
        let answers = answers.next();
        match answers {
            Some(Ok(answers)) => {
                for (slot, row) in rows[range].iter_mut().zip(fetched(collection, what, part, &answers)?) {
                    // What had no room and what is not there look the same.
                    *slot = if row == Fetched::Absent && room.is_full() { Fetched::Later } else { row };
                }
            }
            Some(Err(error)) if is_about_one_row(&error) => {
                conn.batch("rollback to savepoint part").await?;
                if part.len() == 1 {
                    let why = error.code().map_or("unknown", |code| code.code());
                    rows[range.start] = Fetched::Unreadable(format!("the server can't read it (SQLSTATE {why})"));
                } else {
                    let middle = range.start + part.len() / 2;
                    ranges.extend([range.start..middle, middle..range.end]);
                }
            }
            Some(Err(error)) => return conn.check(Err(error)),
            None => return Err(Error::new(ErrorKind::Internal, "a request without an answer")),
        }
    }
    Ok(rows)
}

/// As [`Window::spelled`](crate::endpoint::Window::spelled): a collation may not be deterministic, and `citext` is blind to case.
pub(super) async fn spelled(conn: &mut Conn, table: &Table, keys: &[Key]) -> Result<Vec<Option<Key>>> {
    let mut found = vec![None; keys.len()];
    let asked = of_their_kinds(table, keys);
    if asked.is_empty() {
        return Ok(found);
    }
    let some: Vec<Key> = asked.iter().map(|at| keys[*at].clone()).collect();
    let columns = key_columns(table, &some)?;
    let columns = as_params(&columns);
    let sql = format!(
        "select v.ord, {} from {} join {} t on {}",
        select_key(table),
        unnest_keyed(named_key(table)),
        quote_table(&table.name),
        same_key(table)
    );
    let answers = conn.query(&sql, &params(&columns)).await?;
    for (at, key) in by_ordinal(table, &answers)? {
        if let Some(at) = asked.get(at) {
            found[*at] = Some(key);
        }
    }
    Ok(found)
}

/// The rows a statement returned, by the number of their parameter row.
pub(super) fn by_ordinal(table: &Table, answers: &[Answer]) -> Result<BTreeMap<usize, Key>> {
    answers
        .iter()
        .map(|answer| {
            let ord: i64 = answer.get(0);
            let key = read_key(answer, 1, table).map_err(|why| Error::new(ErrorKind::Rejected, why))?;
            Ok((usize::try_from(ord - 1).unwrap_or(usize::MAX), key))
        })
        .collect()
}
