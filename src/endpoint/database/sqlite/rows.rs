//! Rows by key, by match rule and page by page, for windows and write transactions alike.

use std::collections::{HashMap, HashSet};

use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, Row as Found, params_from_iter};

use super::catalog::{Shape, quoted, shape};
use super::session::fault;
use super::value;
use crate::endpoint::database::all;
use crate::endpoint::{CANDIDATES_MAX, Fetched, Room};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::{Collection, Key, Kind, Normal, Table, Value, normalised};

/// How many rows are read in one transaction where all are looked at (A71).
pub(super) const SCAN_ROWS: usize = 5_000;

/// A column of the table `t`, so spelled that it can't be taken for text: SQLite reads an unknown
/// `"name"` as a string.
pub(super) fn column(table: &Table, i: usize) -> String {
    format!("t.{}", quoted(&table.columns[i].name))
}

fn columns(table: &Table, which: impl IntoIterator<Item = usize>) -> String {
    which.into_iter().map(|i| column(table, i)).collect::<Vec<_>>().join(", ")
}

fn from(table: &Table) -> String {
    format!("from main.{} as t", quoted(&table.name.name))
}

/// The condition on the key, from parameter `first` on: the index finds it, and what a collation
/// takes for equal is not the same row (C6).
pub(super) fn by_key(table: &Table, first: usize) -> String {
    let part = |(n, i): (usize, &usize)| {
        let (column, n) = (column(table, *i), n + first);
        match table.columns[*i].kind {
            Kind::Int { .. } => format!("{column} = ?{n}"),
            _ => format!("{column} = ?{n} and {column} = ?{n} collate binary"),
        }
    };
    table.key.iter().enumerate().map(part).collect::<Vec<_>>().join(" and ")
}

/// A key as parameters, or why no row can have it.
pub(super) fn parameters(table: &Table, key: &Key) -> std::result::Result<Vec<Stored>, String> {
    if key.0.len() != table.key.len() {
        return Err("a key of another shape".to_owned());
    }
    table.key_columns().zip(&key.0).map(|(column, value)| value::write(&column.kind, value)).collect()
}

/// The key in a row, from column `first` on.
pub(super) fn key_of(table: &Table, row: &Found<'_>, first: usize) -> Result<Key> {
    let part =
        |(n, column): (usize, &crate::model::Column)| Ok(value::read_key(&column.kind, row.get_ref(first + n).map_err(fault)?));
    all(table.key.len(), table.key_columns().enumerate().map(part)).map(Key)
}

/// The rows under these keys, as many as there is room for.
pub(super) fn fetch(connection: &Connection, collection: &Collection, keys: &[Key], mut room: Room) -> Result<Vec<Fetched>> {
    let table = &collection.table;
    let shown = columns(table, collection.columns.iter().chain(&table.key).copied());
    let sql = format!("select {shown} {} where {}", from(table), by_key(table, 1));
    let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
    let mut fetch_one = |key: &Key| {
        if room.is_full() {
            return Ok(Fetched::Later);
        }
        let parameters = match parameters(table, key) {
            Ok(parameters) => parameters,
            Err(cause) => return Ok(Fetched::Unreadable(format!("its key can't be looked up: {cause}"))),
        };
        let mut rows = statement.query(params_from_iter(parameters)).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            // 1 and 1.0 are equal to every index, and still two keys (C19).
            if key_of(table, row, collection.columns.len())? == *key {
                return if room.takes(size_of_row(collection, row)?) { read_row(collection, row) } else { Ok(Fetched::Later) };
            }
        }
        Ok(Fetched::Absent)
    };
    keys.iter().map(&mut fetch_one).collect()
}

/// What a row takes in memory, about.
fn size_of_row(collection: &Collection, row: &Found<'_>) -> Result<usize> {
    let size = |i| match row.get_ref(i).map_err(fault)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(size_of::<Value>() + bytes.len()),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => Ok(size_of::<Value>()),
    };
    (0..collection.columns.len()).map(size).sum()
}

/// As [`Window::spelled`](crate::endpoint::Window::spelled): as the key's own collation and affinity compare, which is how
/// SQLite checks a foreign key.
pub(super) fn spelled(connection: &Connection, table: &Table, keys: &[Key]) -> Result<Vec<Option<Key>>> {
    let same: Vec<String> = table.key.iter().enumerate().map(|(n, i)| format!("{} = ?{}", column(table, *i), n + 1)).collect();
    let sql = format!("select {} {} where {}", columns(table, table.key.iter().copied()), from(table), same.join(" and "));
    let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
    let mut one = |key: &Key| {
        let Ok(parameters) = parameters(table, key) else { return Ok(None) };
        let mut rows = statement.query(params_from_iter(parameters)).map_err(fault)?;
        let found = rows.next().map_err(fault)?.map(|row| key_of(table, row, 0)).transpose()?;
        // Where the key's index has another collation, several may be equal.
        Ok(found.filter(|_| matches!(rows.next(), Ok(None))))
    };
    keys.iter().map(&mut one).collect()
}

fn read_row(collection: &Collection, row: &Found<'_>) -> Result<Fetched> {
    let mut values = Vec::with_capacity(collection.columns.len());
    for (i, column) in collection.mapped().enumerate() {
        match value::read(&column.kind, row.get_ref(i).map_err(fault)?) {
            Ok(value) => values.push(value),
            Err(cause) => return Ok(Fetched::Unreadable(format!("{}: {cause}", column.name))),
        }
    }
    Ok(Fetched::Row(values, None))
}

/// The next keys after `after`.
pub(super) fn page(connection: &Connection, table: &Table, after: Option<&Key>, limit: usize) -> Result<Vec<Key>> {
    let shape = need(connection, table)?;
    let mut keys = Vec::new();
    scan(connection, &shape, &[], after, limit, |key, _| {
        keys.push(key);
        Ok(())
    })?;
    Ok(keys)
}

fn need(connection: &Connection, table: &Table) -> Result<Shape> {
    let gone = || Error::new(ErrorKind::Schema, format!("there is no table {}", table.name));
    shape(connection, &table.name)?.ok_or_else(gone)
}

/// Reads `limit` rows after `after` in the order of the key's index, and gives each one's key and the
/// row, in which the columns `wanted` come first.
fn scan(
    connection: &Connection,
    shape: &Shape,
    wanted: &[usize],
    after: Option<&Key>,
    limit: usize,
    mut each: impl FnMut(Key, &Found<'_>) -> Result<()>,
) -> Result<()> {
    let table = &shape.table;
    // In the index's own collation: under another one, different keys might be equal and left out.
    let parts: Vec<String> = table
        .key
        .iter()
        .zip(&shape.collations)
        .map(|(i, collation)| format!("{} collate {}", column(table, *i), quoted(collation)))
        .collect();
    let mut conditions: Vec<String> =
        table.key.iter().filter(|i| table.columns[**i].nullable).map(|i| format!("{} is not null", column(table, *i))).collect();
    let mut bound = Vec::new();
    if let Some(after) = after {
        bound =
            parameters(table, after).map_err(|cause| Error::new(ErrorKind::Internal, format!("page after a key: {cause}")))?;
        let marks: Vec<String> = (1..=bound.len()).map(|n| format!("?{n}")).collect();
        conditions.push(format!("({}) > ({})", parts.join(", "), marks.join(", ")));
    }
    let filter = if conditions.is_empty() { String::new() } else { format!("where {}", conditions.join(" and ")) };
    let shown = columns(table, wanted.iter().chain(&table.key).copied());
    let sql = format!("select {shown} {} {filter} order by {} limit {limit}", from(table), parts.join(", "));
    let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
    let mut rows = statement.query(params_from_iter(bound)).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        each(key_of(table, row, wanted.len())?, row)?;
    }
    Ok(())
}

pub(super) fn count(connection: &Connection, table: &Table) -> Result<u64> {
    let sql = format!("select count(*) {}", from(table));
    connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(|count| count.unsigned_abs()).map_err(fault)
}

/// A look-up by match rule: resumable, so that a whole table is never read in one transaction.
pub(super) struct Search {
    collection: Collection,
    rule: Vec<(usize, Normal)>,
    values: Vec<Vec<Value>>,
    /// Normalised values, and for which of the searched ones they stand.
    wanted: HashMap<Vec<u8>, Vec<usize>>,
    /// How many of them still take candidates.
    open: usize,
    found: Vec<Vec<Key>>,
    /// The last key looked at.
    after: Option<Key>,
}

impl Search {
    pub(super) fn new(collection: &Collection, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Search {
        let mut wanted: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (i, values) in values.iter().enumerate() {
            if let Some(normal) = normalised(rule, values) {
                wanted.entry(normal).or_default().push(i);
            }
        }
        Search {
            collection: collection.clone(),
            rule: rule.to_vec(),
            values: values.to_vec(),
            open: wanted.len(),
            wanted,
            found: vec![Vec::new(); values.len()],
            after: None,
        }
    }

    pub(super) fn found(self) -> Vec<Vec<Key>> {
        self.found
    }

    /// Goes on, looking at about `limit` rows; whether all is found.
    pub(super) fn step(&mut self, connection: &Connection, limit: usize) -> Result<bool> {
        if self.open == 0 {
            return Ok(true);
        }
        let shape = need(connection, &self.collection.table)?;
        let exact: Vec<usize> = (0..self.rule.len()).filter(|i| self.sql_can_compare(*i)).collect();
        if exact.iter().any(|i| shape.leading.contains(&self.collection.columns[self.rule[*i].0])) {
            self.by_index(connection, &exact)?;
            return Ok(true);
        }
        let (mut seen, after) = (0, self.after.take());
        let wanted = self.columns();
        let mut last = None;
        scan(connection, &shape, &wanted, after.as_ref(), limit, |key, row| {
            seen += 1;
            self.offer(&key, row)?;
            last = Some(key);
            Ok(())
        })?;
        self.after = last;
        Ok(seen < limit || self.open == 0)
    }

    fn columns(&self) -> Vec<usize> {
        self.rule.iter().map(|(field, _)| self.collection.columns[*field]).collect()
    }

    /// Whether SQL's `=` finds every row with this value of the rule's column `i`; it may find more.
    /// Not where one value has several spellings, as a date and time has.
    fn sql_can_compare(&self, i: usize) -> bool {
        let (field, normal) = self.rule[i];
        let kind = &self.collection.column(field).kind;
        let single = matches!(
            kind,
            Kind::Int { .. } | Kind::Text { .. } | Kind::Bytes { .. } | Kind::Bool | Kind::Float { .. } | Kind::Any
        );
        single && normal == Normal::default()
    }

    fn by_index(&mut self, connection: &Connection, exact: &[usize]) -> Result<()> {
        let (table, wanted) = (self.collection.table.clone(), self.columns());
        let conditions: Vec<String> =
            exact.iter().enumerate().map(|(n, i)| format!("{} = ?{}", column(&table, wanted[*i]), n + 1)).collect();
        let shown = columns(&table, wanted.iter().chain(&table.key).copied());
        let sql = format!("select {shown} {} where {}", from(&table), conditions.join(" and "));
        let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
        for (normal, group) in self.wanted.clone() {
            let values = &self.values[group[0]];
            let bound: std::result::Result<Vec<Stored>, String> =
                exact.iter().map(|i| value::write(&table.columns[wanted[*i]].kind, &values[*i])).collect();
            // What can't be stored stands in no row.
            let Ok(bound) = bound else { continue };
            let mut rows = statement.query(params_from_iter(bound)).map_err(fault)?;
            while let Some(row) = rows.next().map_err(fault)?
                && self.found[group[0]].len() <= CANDIDATES_MAX
            {
                // The index may take other values for equal: their turn comes, or none.
                if self.normalised(row)?.as_ref() == Some(&normal) {
                    let key = key_of(&table, row, wanted.len())?;
                    self.offer(&key, row)?;
                }
            }
        }
        Ok(())
    }

    /// What a row's columns of the rule are under it; `None` matches nothing.
    fn normalised(&self, row: &Found<'_>) -> Result<Option<Vec<u8>>> {
        let mut values = Vec::with_capacity(self.rule.len());
        for (i, (field, _)) in self.rule.iter().enumerate() {
            match value::read(&self.collection.column(*field).kind, row.get_ref(i).map_err(fault)?) {
                Ok(value) => values.push(value),
                Err(_) => return Ok(None),
            }
        }
        Ok(normalised(&self.rule, &values))
    }

    /// A row that may match: it does if its normalised values are wanted.
    fn offer(&mut self, key: &Key, row: &Found<'_>) -> Result<()> {
        let normal = self.normalised(row)?;
        let Some(group) = normal.and_then(|normal| self.wanted.get(&normal)) else { return Ok(()) };
        if self.found[group[0]].len() > CANDIDATES_MAX {
            return Ok(());
        }
        group.iter().for_each(|i| self.found[*i].push(key.clone()));
        if self.found[group[0]].len() > CANDIDATES_MAX {
            self.open -= 1;
        }
        Ok(())
    }
}

/// The set of a list of keys' bytes.
pub(super) fn set(keys: &[Key]) -> HashSet<crate::model::KeyBytes> {
    keys.iter().map(Key::encode).collect()
}
