//! Rows by key: the same statements in a window and under lock.

use std::fmt::Write as _;

use mysql_async::{Row, Value as Wire};

use super::catalog::{qualified, quoted};
use super::connection::Connection;
use super::session::documents;
use super::value::{compared, decode, encode, selected};
use crate::endpoint::Room;
use crate::endpoint::database::{all, of_their_kinds};
use crate::error::{Error, Kind as Failure, Result};
use crate::model::{Collection, Column, Key, Kind, Table, Value};

/// A row read, or why it can't be.
pub(super) type Decoded = std::result::Result<Vec<Value>, String>;

/// The columns of a JSON_TABLE: the place in the document, and `prefix0`, `prefix1`, … as text.
///
/// Always `longtext`: a shorter type cuts in silence on MariaDB, and turns to NULL on MySQL.
pub(super) fn json_table(prefixes: &[(&str, usize)]) -> String {
    let mut out = "json_table(?, '$[*]' columns (at_row for ordinality".to_owned();
    let mut place = 0;
    for (prefix, count) in prefixes {
        for i in 0..*count {
            let _ = write!(out, ", {prefix}{i} longtext path '$[{place}]' error on error");
            place += 1;
        }
    }
    out.push_str(")) as a");
    out
}

/// The table as `t`, joined by its key to `a`, byte by byte: the collation finds the row by its index, the bytes say whether
/// it is the one (C6).
pub(super) async fn keyed(connection: &mut Connection, table: &Table) -> Result<String> {
    let same = |column: &Column, name: &str, source: &str| {
        let equal = format!("{name} = {}", compared(column, source));
        if is_text(column) { format!("{equal} and {} = unhex({source})", bytes_of(name)) } else { equal }
    };
    keyed_by(connection, table, same).await
}

/// As [`keyed`], with what makes a column `name` of `t` the same as `source`.
async fn keyed_by(connection: &mut Connection, table: &Table, same: impl Fn(&Column, &str, &str) -> String) -> Result<String> {
    let index = connection.key_index(table).await?;
    let part = |(i, column): (usize, &Column)| same(column, &format!("t.{}", quoted(&column.name)), &format!("a.k{i}"));
    let parts: Vec<String> = table.key_columns().enumerate().map(part).collect();
    Ok(format!("{} as t {index} on {}", qualified(&table.name, &connection.server.database), parts.join(" and ")))
}

pub(super) fn is_text(column: &Column) -> bool {
    matches!(column.kind, Kind::Text { .. } | Kind::Enum(_))
}

pub(super) fn bytes_of(text: &str) -> String {
    format!("cast(convert({text} using utf8mb4) as binary)")
}

/// Keys as elements of documents.
pub(super) fn key_json(table: &Table, key: &Key) -> String {
    let mut out = String::new();
    for (column, value) in table.key_columns().zip(&key.0) {
        encode(column, value, &mut out);
    }
    out
}

/// A key's columns, selected.
pub(super) fn key_columns(table: &Table, alias: &str) -> String {
    let columns = table.key_columns().map(|column| selected(column, &format!("{alias}{}", quoted(&column.name))));
    columns.collect::<Vec<_>>().join(", ")
}

/// The key in a row's fields from `at` on.
pub(super) fn decode_key(table: &Table, fields: &mut impl Iterator<Item = Wire>) -> Option<Key> {
    let part = |column| decode(column, fields.next().ok_or(())?).map_err(|_| ());
    all(table.key.len(), table.key_columns().map(part)).map(Key).ok()
}

pub(super) fn place(fields: &mut impl Iterator<Item = Wire>) -> Option<usize> {
    match fields.next()? {
        Wire::Int(at) => usize::try_from(at - 1).ok(),
        Wire::UInt(at) => usize::try_from(at.checked_sub(1)?).ok(),
        _ => None,
    }
}

pub(super) fn unexpected() -> Error {
    Error::new(Failure::Internal, "the server's answer has an unexpected shape")
}

/// The rows under `keys`, in their order, as many as there is room for. `lock`: how they are locked, or nothing.
pub(super) async fn by_key(
    connection: &mut Connection,
    collection: &Collection,
    keys: &[Key],
    lock: &str,
    room: &mut Room,
) -> Result<Vec<Option<Decoded>>> {
    let table = &collection.table;
    let mapped: Vec<&Column> = collection.mapped().collect();
    let columns: String =
        mapped.iter().fold(String::new(), |all, column| all + ", " + &selected(column, &format!("t.{}", quoted(&column.name))));
    let sql = format!(
        "select a.at_row, {}{columns} from {} straight_join {} {lock}",
        key_columns(table, "t."),
        json_table(&[("k", table.key.len())]),
        keyed(connection, table).await?,
    );
    let mut found: Vec<Option<Decoded>> = vec![None; keys.len()];
    let mut offset = 0;
    for (json, size) in documents(keys.iter().map(|key| key_json(table, key)), connection.json_max()) {
        let mut odd = false;
        let each = |row: mysql_async::Row| {
            let mut fields = row.unwrap().into_iter();
            let Some(at) = place(&mut fields).map(|at| at + offset) else {
                odd = true;
                return;
            };
            let key = decode_key(table, &mut fields);
            let fields: Vec<Wire> = fields.collect();
            if !room.takes(fields.iter().map(size_of).sum()) {
                return;
            }
            let values = all(mapped.len(), mapped.iter().zip(fields).map(|(column, wire)| decode(column, wire)));
            // A number may be equal and yet not the same key (a zero of another sign).
            if key.is_some_and(|key| keys.get(at).is_some_and(|asked| asked.encode() == key.encode())) {
                found[at] = Some(values);
            }
        };
        connection.each(&sql, vec![Wire::Bytes(json)], each).await?;
        if odd {
            return Err(unexpected());
        }
        if room.is_full() {
            break;
        }
        offset += size;
    }
    Ok(found)
}

/// What a field takes in memory, about.
fn size_of(wire: &Wire) -> usize {
    size_of_val(wire) + if let Wire::Bytes(bytes) = wire { bytes.len() } else { 0 }
}

/// As [`Window::spelled`](crate::endpoint::Window::spelled): as the key's own collation compares, which is how the server
/// checks a foreign key.
pub(super) async fn spelled(connection: &mut Connection, table: &Table, keys: &[Key]) -> Result<Vec<Option<Key>>> {
    let by_collation = |column: &Column, name: &str, source: &str| format!("{name} = {}", compared(column, source));
    let sql = format!(
        "select a.at_row, {} from {} straight_join {}",
        key_columns(table, "t."),
        json_table(&[("k", table.key.len())]),
        keyed_by(connection, table, by_collation).await?,
    );
    let asked = of_their_kinds(table, keys);
    let (mut found, mut offset) = (vec![None; keys.len()], 0);
    for (json, size) in documents(asked.iter().map(|at| key_json(table, &keys[*at])), connection.json_max()) {
        for row in connection.rows(&sql, vec![Wire::Bytes(json)]).await? {
            let mut fields = row.unwrap().into_iter();
            let at = offset + place(&mut fields).ok_or_else(unexpected)?;
            if let Some(at) = asked.get(at) {
                found[*at] = decode_key(table, &mut fields);
            }
        }
        offset += size;
    }
    Ok(found)
}

/// Which of `keys` exist. `lock`: how their rows are locked, or nothing.
pub(super) async fn existing(connection: &mut Connection, table: &Table, keys: &[Key], lock: &str) -> Result<Vec<bool>> {
    let keys_only = Collection { table: table.clone(), columns: Vec::new() };
    Ok(by_key(connection, &keys_only, keys, lock, &mut Room::endless()).await?.iter().map(Option::is_some).collect())
}

/// The next keys after `after`, in key order.
pub(super) async fn page(connection: &mut Connection, table: &Table, after: Option<&Key>, limit: usize) -> Result<Vec<Key>> {
    let names: Vec<String> = table.key_columns().map(|column| quoted(&column.name)).collect();
    let mut params = Vec::new();
    let filter = after.map_or_else(String::new, |key| format!("where {}", beyond(table, key, &mut params)));
    let sql = format!(
        "select {} from {} {filter} order by {} limit {limit}",
        key_columns(table, ""),
        qualified(&table.name, &connection.server.database),
        names.join(", ")
    );
    let rows: Vec<Row> = connection.rows(&sql, params).await?;
    let read = |row: Row| decode_key(table, &mut row.unwrap().into_iter());
    let unreadable = || Error::new(Failure::Schema, format!("a key of {} can't be read", table.name));
    rows.into_iter().map(|row| read(row).ok_or_else(unreadable)).collect()
}

/// `a > 1 or a = 1 and (b > 2 …)`, with the first column bounded on its own: a row comparison uses no index.
fn beyond(table: &Table, key: &Key, params: &mut Vec<Wire>) -> String {
    let columns: Vec<(&Column, &Value)> = table.key_columns().zip(&key.0).collect();
    let mut condition = |operator: &str, at: usize| {
        let (column, value) = columns[at];
        let mut text = String::new();
        encode(column, value, &mut text);
        params.push(Wire::from(text.trim_matches(['"', ','])));
        format!("{} {operator} {}", quoted(&column.name), compared(column, "?"))
    };
    if columns.len() == 1 {
        return condition(">", 0);
    }
    let mut out = condition(">=", 0);
    out.push_str(" and (");
    for last in 0..columns.len() {
        if last > 0 {
            out.push_str(" or ");
        }
        for at in 0..last {
            out.push_str(&condition("=", at));
            out.push_str(" and ");
        }
        out.push_str(&condition(">", last));
    }
    out.push(')');
    out
}
