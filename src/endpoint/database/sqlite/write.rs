//! A write transaction. It holds the file's one write lock from its first statement on: what it
//! reads can't change under it, and so nothing else has to be locked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::types::Value as Stored;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::catalog::{self, Shape, quoted};
use super::reach;
use super::rows::{self, Search};
use super::session::{Pool, Writer, fault};
use super::tracking::tracking_names;
use super::{log, value};
use crate::endpoint::{Change, Create, Fetched, MovedBy, Outcome, Reach, ReadReceipt, Room, Unread, Write};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Column, Key, KeyBytes, Normal, Pos, Position, Row, Table, Value};
use crate::sql::{Fence, Session};

pub(super) struct SqliteWrite {
    writer: Writer,
    integration: String,
    /// Where each log stood before the first statement.
    marks: HashMap<String, i64>,
}

pub(super) async fn begin(pool: &Arc<Pool>, fence: &Fence) -> Result<SqliteWrite> {
    let mut writer = Writer::begin(pool, fence).await?;
    let marks = writer.run(marks).await?;
    Ok(SqliteWrite { writer, integration: fence.integration.clone(), marks })
}

#[async_trait]
impl Write for SqliteWrite {
    async fn lock(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        let (collection, keys) = (collection.clone(), keys.to_vec());
        let fetched = self.writer.run(move |connection| rows::fetch(connection, &collection, &keys, Room::endless())).await?;
        let row = |fetched| match fetched {
            Fetched::Row(row, _) => Some(row),
            Fetched::Absent | Fetched::Unreadable(_) | Fetched::Later => None,
        };
        Ok(fetched.into_iter().map(row).collect())
    }

    async fn moved(
        &mut self,
        collection: &Collection,
        keys: &[Key],
        since: &Position,
        _read: &ReadReceipt,
        by: MovedBy,
    ) -> Result<HashSet<KeyBytes>> {
        let (table, keys, since) = (collection.table.clone(), rows::set(keys), since.clone());
        let (writer, before) = (self.integration.clone(), self.marks.get(&tracking_names(&table.name).log).copied().unwrap_or(0));
        let moved = move |connection: &Connection| {
            let log = log::Log::of(connection, &table.name)?;
            let upto = log.place(&table.name, &since)?;
            let ours = match by {
                MovedBy::Anybody => None,
                MovedBy::Others => Some(log::Ours { writer: &writer, before }),
            };
            log::structural(connection, &table, &log, upto, &keys, Unread::Births, ours)
        };
        self.writer.run(moved).await
    }

    async fn find(&mut self, collection: &Collection, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>> {
        let mut search = Search::new(collection, rule, values);
        let all = move |connection: &Connection| {
            while !search.step(connection, rows::SCAN_ROWS)? {}
            Ok(search.found())
        };
        self.writer.run(all).await
    }

    async fn insert(&mut self, collection: &Collection, fields: &[usize], rows: &[Create]) -> Result<Vec<Outcome>> {
        let (collection, fields, rows) = (collection.clone(), fields.to_vec(), rows.to_vec());
        self.writer.run(move |connection| insert(connection, &collection, &fields, &rows)).await
    }

    async fn update(&mut self, collection: &Collection, fields: &[usize], rows: &[Change]) -> Result<Vec<Outcome>> {
        let (collection, fields, rows) = (collection.clone(), fields.to_vec(), rows.to_vec());
        self.writer.run(move |connection| update(connection, &collection, &fields, &rows)).await
    }

    async fn reach(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Reach>> {
        let (table, keys) = (collection.table.clone(), keys.to_vec());
        self.writer.run(move |connection| reach::reach(connection, &table, &keys)).await
    }

    async fn delete(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Outcome>> {
        let (table, keys) = (collection.table.clone(), keys.to_vec());
        self.writer.run(move |connection| delete(connection, &table, &keys)).await
    }

    /// A deferred foreign key speaks at `commit`: SQLite can't be asked before.
    async fn read_back(&mut self, collection: &Collection, keys: &[Key]) -> Result<(Vec<Fetched>, Pos)> {
        let (collection, keys) = (collection.clone(), keys.to_vec());
        let read = move |connection: &Connection| {
            let last = log::end(connection, &tracking_names(&collection.table.name).log)?;
            Ok((rows::fetch(connection, &collection, &keys, Room::endless())?, Pos(last)))
        };
        self.writer.run(read).await
    }

    fn session(&mut self) -> &mut dyn Session {
        &mut self.writer
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        let SqliteWrite { mut writer, integration, marks } = *self;
        writer.run(move |connection| tag(connection, &marks, &integration)).await?;
        writer.commit().await
    }

    async fn rollback(self: Box<Self>) -> Result<()> {
        self.writer.end("rollback").await
    }
}

/// The logs and the last number of each, to tell later what a transaction has added.
fn marks(connection: &Connection) -> Result<HashMap<String, i64>> {
    if !log::exists(connection, "sqlite_sequence")? {
        return Ok(HashMap::new());
    }
    let sql = r"select name, seq from main.sqlite_sequence where name like 'twinrow\_log\_%' escape '\'";
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(fault)?;
    found.collect::<rusqlite::Result<_>>().map_err(fault)
}

/// Tags what was added to any log since `marks` as ours: there is no session variable a trigger
/// could read, but while we hold the write lock nobody else adds anything (B11).
fn tag(connection: &Connection, before: &HashMap<String, i64>, origin: &str) -> Result<()> {
    for (log, seq) in marks(connection)? {
        let since = before.get(&log).copied().unwrap_or(0);
        if seq > since {
            let sql = format!("update main.{} set origin = ?1 where seq > ?2 and op <> 'E'", quoted(&log));
            connection.execute(&sql, params![origin, since]).map_err(fault)?;
        }
    }
    Ok(())
}

fn rejected(table: &Table, cause: &str) -> Error {
    Error::new(Kind::Rejected, format!("{}: {cause}", table.name))
}

fn bind(table: &Table, column: &Column, value: &Value) -> Result<Stored> {
    value::stored(column, value).map_err(|cause| rejected(table, &format!("{}: {cause}", column.name)))
}

fn insert(connection: &Connection, collection: &Collection, fields: &[usize], rows: &[Create]) -> Result<Vec<Outcome>> {
    let table = &collection.table;
    let shape = catalog::shape(connection, &table.name)?
        .ok_or_else(|| Error::new(Kind::Schema, format!("there is no table {}", table.name)))?;
    let verb = format!("insert{} into", or_abort(connection, table)?);
    rows.iter().map(|row| insert_one(connection, (&shape, &verb), collection, fields, row)).collect()
}

/// Where a unique key of the table's gives way by itself, a write of ours would delete another record, or do nothing,
/// and no error would say so. Elsewhere nothing is said: the clause of a statement stands above those in the
/// application's triggers.
fn or_abort(connection: &Connection, table: &Table) -> Result<&'static str> {
    Ok(if catalog::gives_way(connection, &table.name)? { " or abort" } else { "" })
}

fn insert_one(
    connection: &Connection,
    (shape, verb): (&Shape, &str),
    collection: &Collection,
    fields: &[usize],
    row: &Create,
) -> Result<Outcome> {
    let table = &collection.table;
    let (mut columns, mut bound) = (Vec::new(), Vec::new());
    if let Some(key) = &row.key {
        bound = rows::parameters(table, key).map_err(|cause| rejected(table, &cause))?;
        columns.extend(table.key.iter().copied());
    }
    for (field, value) in fields.iter().zip(&row.values) {
        // A key that is given stands, also where its column is a mapped field.
        if row.key.is_none() || !table.key.contains(&collection.columns[*field]) {
            columns.push(collection.columns[*field]);
            bound.push(bind(table, collection.column(*field), value)?);
        }
    }
    let names: Vec<String> = columns.iter().map(|i| quoted(&table.columns[*i].name)).collect();
    let marks: Vec<String> = (1..=bound.len()).map(|n| format!("?{n}")).collect();
    let values = if names.is_empty() {
        "default values".to_owned()
    } else {
        format!("({}) values ({})", names.join(", "), marks.join(", "))
    };
    let sql = format!("{verb} main.{} {values}", quoted(&table.name.name));
    let key = match shape.rowid {
        Some(rowid) => insert_by_rowid(connection, table, &sql, bound, rowid)?,
        None => insert_returning(connection, table, &sql, bound)?,
    };
    Ok(Outcome::Done(key.ok_or_else(|| rejected(table, "a trigger has taken the new row away"))?))
}

/// Inserts, and reads the key the row has once every trigger has run.
fn insert_by_rowid(connection: &Connection, table: &Table, sql: &str, bound: Vec<Stored>, rowid: &str) -> Result<Option<Key>> {
    let inserted = connection.prepare_cached(sql).and_then(|mut s| s.execute(params_from_iter(bound))).map_err(fault)?;
    if inserted == 0 {
        return Ok(None);
    }
    let shown: Vec<String> = table.key.iter().map(|i| rows::column(table, *i)).collect();
    let sql = format!("select {} from main.{} as t where t.{rowid} = ?1", shown.join(", "), quoted(&table.name.name));
    let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
    let key = statement.query_row(params![connection.last_insert_rowid()], |row| Ok(rows::key_of(table, row, 0)));
    key.optional().map_err(fault)?.transpose()
}

/// WITHOUT ROWID: the key is what was inserted, but for defaults.
fn insert_returning(connection: &Connection, table: &Table, sql: &str, bound: Vec<Stored>) -> Result<Option<Key>> {
    let keys: Vec<String> = table.key_columns().map(|column| quoted(&column.name)).collect();
    let sql = format!("{sql} returning {}", keys.join(", "));
    let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
    let mut rows = statement.query(params_from_iter(bound)).map_err(fault)?;
    let key = rows.next().map_err(fault)?.map(|row| rows::key_of(table, row, 0)).transpose()?;
    // Triggers run to their end only when the statement does.
    while rows.next().map_err(fault)?.is_some() {}
    Ok(key)
}

fn update(connection: &Connection, collection: &Collection, fields: &[usize], changes: &[Change]) -> Result<Vec<Outcome>> {
    let table = &collection.table;
    let set: Vec<String> =
        fields.iter().enumerate().map(|(n, field)| format!("{} = ?{}", quoted(&collection.column(*field).name), n + 1)).collect();
    let sql = format!(
        "update{} main.{} as t set {} where {}",
        or_abort(connection, table)?,
        quoted(&table.name.name),
        set.join(", "),
        rows::by_key(table, fields.len() + 1)
    );
    let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
    let mut one = |change: &Change| {
        let values = fields.iter().zip(&change.values);
        let mut bound = values.map(|(field, value)| bind(table, collection.column(*field), value)).collect::<Result<Vec<_>>>()?;
        bound.extend(rows::parameters(table, &change.key).map_err(|cause| rejected(table, &cause))?);
        outcome(statement.execute(params_from_iter(bound)), &change.key)
    };
    changes.iter().map(&mut one).collect()
}

fn delete(connection: &Connection, table: &Table, keys: &[Key]) -> Result<Vec<Outcome>> {
    let sql = format!("delete from main.{} as t where {}", quoted(&table.name.name), rows::by_key(table, 1));
    let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
    let mut one = |key: &Key| {
        let bound = rows::parameters(table, key).map_err(|cause| rejected(table, &cause))?;
        outcome(statement.execute(params_from_iter(bound)), key)
    };
    keys.iter().map(&mut one).collect()
}

fn outcome(changed: rusqlite::Result<usize>, key: &Key) -> Result<Outcome> {
    Ok(if changed.map_err(fault)? == 0 { Outcome::Stale } else { Outcome::Done(key.clone()) })
}
