//! Write transactions: a batch is one statement, whatever its size.

use std::collections::HashSet;

use async_trait::async_trait;
use mysql_async::Value as Wire;

use super::catalog::{qualified, quoted};
use super::connection::Connection;
use super::find;
use super::log::{self, Log, Named, Stand, number};
use super::reach;
use super::rows::{by_key, existing, json_table, key_json, keyed};
use super::session::{Fenced, documents};
use super::value::{assigned, decode_logged, encode, from_log};
use super::window::fetched;
use crate::endpoint::{Change, Create, Fetched, MovedBy, Outcome, Reach, ReadReceipt, Room, Write};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Column, Key, KeyBytes, KeySource, Normal, Pos, Position, Row, Table, Value};
use crate::sql::{Cell, Session};

/// Warnings that speak of the statement's wording, not of its values: deprecated words and character sets, and
/// what the application's own triggers say.
const HARMLESS: [u16; 7] = [1287, 1642, 1681, 3090, 3719, 3720, 3778];

/// An open write transaction.
pub(super) struct Writing {
    fenced: Fenced,
}

impl Writing {
    pub(super) fn new(fenced: Fenced) -> Writing {
        Writing { fenced }
    }

    async fn insert_all(&mut self, collection: &Collection, fields: &[usize], rows: &[Create]) -> Result<Vec<Outcome>> {
        let connection = self.fenced.connection()?;
        rows.iter().try_for_each(|row| takes(connection, collection, fields, &row.values))?;
        let mut outcomes = Vec::with_capacity(rows.len());
        // Rows with a key of their own and rows without one are different statements.
        for run in rows.chunk_by(|a, b| a.key.is_some() == b.key.is_some()) {
            outcomes.extend(insert_run(connection, collection, fields, run).await?);
        }
        Ok(outcomes)
    }

    async fn update_all(&mut self, collection: &Collection, fields: &[usize], rows: &[Change]) -> Result<Vec<Outcome>> {
        let connection = self.fenced.connection()?;
        rows.iter().try_for_each(|row| takes(connection, collection, fields, &row.values))?;
        let table = &collection.table;
        let keys: Vec<Key> = rows.iter().map(|change| change.key.clone()).collect();
        // Only the count comes back, so the missing ones are looked for beforehand where there can be any.
        let lock = connection.server.flavour.lock();
        let found = existing(connection, table, &keys, lock).await?;
        if fields.is_empty() {
            return Ok(outcomes(&keys, &found));
        }
        let columns: Vec<&Column> = fields.iter().map(|field| collection.column(*field)).collect();
        let set: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(i, column)| format!("t.{} = {}", quoted(&column.name), assigned(column, &format!("a.c{i}"))))
            .collect();
        let sql = format!(
            "update {} straight_join {} set {}",
            json_table(&[("k", table.key.len()), ("c", columns.len())]),
            keyed(connection, table).await?,
            set.join(", ")
        );
        let present = rows.iter().zip(&found).filter(|(_, found)| **found).map(|(change, _)| {
            let mut out = key_json(table, &change.key);
            columns.iter().zip(&change.values).for_each(|(column, value)| encode(column, value, &mut out));
            out
        });
        let count = found.iter().filter(|found| **found).count();
        written(connection, &sql, present, count).await?;
        Ok(outcomes(&keys, &found))
    }

    async fn delete_all(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Outcome>> {
        let connection = self.fenced.connection()?;
        let table = &collection.table;
        let lock = connection.server.flavour.lock();
        let found = existing(connection, table, keys, lock).await?;
        let sql =
            format!("delete t from {} straight_join {}", json_table(&[("k", table.key.len())]), keyed(connection, table).await?);
        let present = keys.iter().zip(&found).filter(|(_, found)| **found).map(|(key, _)| key_json(table, key));
        let count = found.iter().filter(|found| **found).count();
        written(connection, &sql, present, count).await?;
        Ok(outcomes(keys, &found))
    }
}

fn outcomes(keys: &[Key], found: &[bool]) -> Vec<Outcome> {
    let outcome = |(key, found): (&Key, &bool)| if *found { Outcome::Done(key.clone()) } else { Outcome::Stale };
    keys.iter().zip(found).map(outcome).collect()
}

/// What takes part in a statement beside a row's long values, generously: keys, numbers, punctuation.
const SMALL_BYTES: usize = 1 << 14;

/// Whether the server takes these values of one row, as far as their column's type does not tell.
fn takes(connection: &Connection, collection: &Collection, fields: &[usize], values: &[Value]) -> Result<()> {
    let refused = |field: usize, why: &str| {
        let column = collection.column(field);
        Err(Error::new(Kind::Rejected, format!("{}: {why}", column.name)))
    };
    // Texts and bytes travel in hexadecimal.
    let size = |value: &Value| match value {
        Value::Text(text) | Value::Json(text) | Value::Other { text, .. } => 2 * text.len(),
        Value::Bytes(bytes) => 2 * bytes.len(),
        _ => 0,
    };
    let sizes = || fields.iter().zip(values).map(|(field, value)| (size(value), *field));
    // A larger statement would cost the connection, and with it the rest of the batch (D20).
    if sizes().map(|(size, _)| size).sum::<usize>() + SMALL_BYTES > connection.server.packet
        && let Some((_, largest)) = sizes().max()
    {
        return refused(largest, "a value of this length does not fit the server's max_allowed_packet twice");
    }
    let negative_zero = |value: &Value| matches!(value, Value::Float(float) if *float == 0.0 && float.is_sign_negative());
    match fields.iter().zip(values).find(|(_, value)| negative_zero(value)) {
        // It stores a zero and says nothing (D6).
        Some((field, _)) if connection.server.flavour.mariadb => refused(*field, "MariaDB has no negative zero"),
        _ => Ok(()),
    }
}

/// Inserts rows that all bring their key, or all do not.
///
/// Their keys are read from the change log: our own trigger has written them there in the order of the insert, in this
/// transaction, whoever made them: AUTO_INCREMENT, a default, or a trigger of the application's. No other
/// transaction writes under our origin meanwhile, because it would hold the fence row. `LAST_INSERT_ID()` knows one number,
/// and counting on from it is a guess where increments, triggers or given keys are involved; MySQL has no RETURNING.
async fn insert_run(
    connection: &mut Connection,
    collection: &Collection,
    fields: &[usize],
    rows: &[Create],
) -> Result<Vec<Outcome>> {
    let table = &collection.table;
    let log = Log::of(table, &connection.server.database);
    let mut columns: Vec<&Column> = fields.iter().map(|field| collection.column(*field)).collect();
    let given = rows.iter().all(|row| row.key.is_some());
    let before = columns.len();
    // A trigger sets a key it is given as NULL; MariaDB refuses one it is not given at all.
    let stamped = |at: &usize| table.key_source == KeySource::Trigger && table.columns[*at].numbered;
    let sent: Vec<usize> = fields.iter().filter_map(|field| collection.columns.get(*field).copied()).collect();
    let besides = table.key.iter().filter(|at| (given || stamped(at)) && !sent.contains(at));
    columns.extend(besides.map(|at| &table.columns[*at]));
    let last = last_seq(connection, &log).await?;
    let sql = insert_statement(connection, table, &columns, rows.len());
    let documents = rows.iter().map(|row| {
        let mut out = String::new();
        columns.iter().zip(&row.values).for_each(|(column, value)| encode(column, value, &mut out));
        for column in &columns[before..] {
            let part = table.key_columns().position(|key| key.name == column.name);
            let value = row.key.as_ref().zip(part).and_then(|(key, part)| key.0.get(part));
            encode(column, value.unwrap_or(&Value::Null), &mut out);
        }
        out
    });
    if columns.is_empty() {
        let sql = format!("{}{sql}", connection.server.flavour.without_waiting());
        let done = connection.write(&sql, Vec::new()).await?;
        expect(done.affected, rows.len())?;
    } else {
        written(connection, &sql, documents, rows.len()).await?;
    }
    let keys = inserted_keys(connection, table, &log, last).await?;
    expect(keys.len() as u64, rows.len())?;
    Ok(keys.into_iter().map(Outcome::Done).collect())
}

fn insert_statement(connection: &Connection, table: &Table, columns: &[&Column], rows: usize) -> String {
    let name = qualified(&table.name, &connection.server.database);
    if columns.is_empty() {
        return format!("insert into {name} () values {}", vec!["()"; rows].join(", "));
    }
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    let values: Vec<String> = columns.iter().enumerate().map(|(i, column)| assigned(column, &format!("a.c{i}"))).collect();
    format!(
        "insert into {name} ({}) select {} from {} order by a.at_row",
        names.join(", "),
        values.join(", "),
        json_table(&[("c", columns.len())])
    )
}

/// The greatest number in the log that can be seen. Every row we write from here on has a greater one.
async fn last_seq(connection: &mut Connection, log: &Log) -> Result<i64> {
    let sql = format!("select coalesce(max(seq), 0) from {}", quoted(&log.name));
    let rows = connection.rows(&sql, Vec::new()).await.map_err(log::missing)?;
    rows.first().map_or(Ok(0), |row| number(row, 0))
}

/// The keys of what this transaction inserted after `last`, in order.
async fn inserted_keys(connection: &mut Connection, table: &Table, log: &Log, last: i64) -> Result<Vec<Key>> {
    let key: Vec<&Column> = table.key_columns().collect();
    let columns: Vec<String> = key.iter().enumerate().map(|(i, column)| from_log(column, &format!("n{}", i + 1))).collect();
    let sql = format!(
        "select {} from {} where seq > ? and op = 'I' and origin = @twinrow_origin order by seq",
        columns.join(", "),
        quoted(&log.name)
    );
    let unreadable = || Error::new(Kind::Rejected, format!("a new key of {} can't be read", table.name));
    let rows = connection.rows(&sql, vec![last.into()]).await?;
    rows.into_iter()
        .map(|row| {
            let parts = key.iter().zip(row.unwrap()).map(|(column, wire)| decode_logged(column, &wire));
            parts.collect::<Option<Vec<_>>>().map(Key).ok_or_else(unreadable)
        })
        .collect()
}

/// Runs a statement over a set of `count` rows and sees to it that each was written, and as it was sent (D25).
async fn written(connection: &mut Connection, sql: &str, set: impl Iterator<Item = String>, count: usize) -> Result<()> {
    let mut affected = 0;
    let sql = &format!("{}{sql}", connection.server.flavour.without_waiting());
    for (json, _) in documents(set, connection.json_max()) {
        let done = connection.write(sql, vec![Wire::Bytes(json)]).await?;
        affected += done.affected;
        if done.warnings > 0
            && let Some(code) = connection.warnings().await?.into_iter().find(|code| !HARMLESS.contains(code))
        {
            return Err(Error::new(Kind::Rejected, format!("the server would not store a value as it is (code {code})")));
        }
    }
    expect(affected, count)
}

fn expect(affected: u64, count: usize) -> Result<()> {
    if affected == count as u64 {
        return Ok(());
    }
    Err(Error::new(Kind::Rejected, format!("{affected} rows were written in place of {count}: the table has rules of its own")))
}

#[async_trait]
impl Write for Writing {
    async fn lock(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        let connection = self.fenced.connection()?;
        let lock = connection.server.flavour.lock_free();
        let answer = by_key(connection, collection, keys, lock, &mut Room::endless()).await;
        let found = self.fenced.note(answer)?;
        // A row that can't be read is treated as locked: it goes back to work, where fetch says why.
        Ok(found.into_iter().map(|row| row.and_then(std::result::Result::ok)).collect())
    }

    /// Under the locks: whoever moved one of these rows has committed, under whatever number its log row has.
    async fn moved(
        &mut self,
        collection: &Collection,
        keys: &[Key],
        since: &Position,
        read: &ReadReceipt,
        by: MovedBy,
    ) -> Result<HashSet<KeyBytes>> {
        let connection = self.fenced.connection()?;
        let log = Log::of(&collection.table, &connection.server.database);
        let asked: HashSet<KeyBytes> = keys.iter().map(Key::encode).collect();
        let mut moved = HashSet::new();
        let note = |named: Named<'_>| match named {
            Named::Keys(keys) => moved.extend(keys.iter().map(|key| key.encode()).filter(|key| asked.contains(key))),
            Named::All => moved.extend(asked.iter().cloned()),
        };
        let read = read.0.iter().copied().collect();
        let answer = log::unread_since(connection, &log, &Stand::parse(since)?, &read, by, note).await;
        self.fenced.note(answer)?;
        Ok(moved)
    }

    async fn find(&mut self, collection: &Collection, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>> {
        let name = collection.table.name.to_string();
        if self.fenced.execute("collection_lock", &[vec![Cell::Text(name)]]).await? != 1 {
            return Err(log::missing(Error::new(Kind::Schema, "no row for the collection")));
        }
        let answer = find::by_match(self.fenced.connection()?, collection, rule, values).await;
        self.fenced.note(answer)
    }

    async fn insert(&mut self, collection: &Collection, fields: &[usize], rows: &[Create]) -> Result<Vec<Outcome>> {
        let answer = self.insert_all(collection, fields, rows).await;
        self.fenced.note(answer)
    }

    async fn update(&mut self, collection: &Collection, fields: &[usize], rows: &[Change]) -> Result<Vec<Outcome>> {
        let answer = self.update_all(collection, fields, rows).await;
        self.fenced.note(answer)
    }

    async fn reach(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Reach>> {
        let answer = reach::reach(self.fenced.connection()?, collection, keys).await;
        self.fenced.note(answer)
    }

    async fn delete(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Outcome>> {
        let answer = self.delete_all(collection, keys).await;
        self.fenced.note(answer)
    }

    /// Constraints are always immediate here.
    async fn read_back(&mut self, collection: &Collection, keys: &[Key]) -> Result<(Vec<Fetched>, Pos)> {
        let connection = self.fenced.connection()?;
        let log = Log::of(&collection.table, &connection.server.database);
        let answer = async {
            let found = by_key(connection, collection, keys, "", &mut Room::endless()).await?;
            Ok((found.into_iter().map(fetched).collect(), Pos(last_seq(connection, &log).await?)))
        };
        let answer = answer.await;
        self.fenced.note(answer)
    }

    fn session(&mut self) -> &mut dyn Session {
        &mut self.fenced
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.fenced.commit().await
    }

    async fn rollback(mut self: Box<Self>) -> Result<()> {
        self.fenced.rollback().await
    }
}
