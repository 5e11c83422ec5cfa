//! Writing: one transaction of a database, its locks, its rows and what it read back.

use std::collections::HashSet;

use async_trait::async_trait;

use super::{Fetched, ReadReceipt};
use crate::error::Result;
use crate::model::{Collection, Key, KeyBytes, Normal, Pos, Position, Row, TableName, Value};
use crate::sql::Session;

/// An open write transaction.
///
/// Order of calls: `lock`, then statements, then `read_back`, then receipts or the state through
/// `session`, then `commit`. After an error only `rollback` is allowed. Dropped, it rolls back.
#[async_trait]
pub trait Write: Send {
    /// Locks the rows under these keys without waiting (SKIP LOCKED) and returns them as they are now.
    /// `None`: locked by someone else, or absent; either way the record goes back to work (rule 19).
    async fn lock(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Option<Row>>>;

    /// As [`Write::lock`], for rows whose versions were read in a window: where rows have versions, one that still is of the
    /// version that was read need not be read again.
    async fn lock_read(&mut self, collection: &Collection, rows: &[(Key, Option<String>)]) -> Result<Vec<Option<Locked>>> {
        let keys: Vec<Key> = rows.iter().map(|(key, _)| key.clone()).collect();
        Ok(self.lock(collection, &keys).await?.into_iter().map(|row| row.map(Locked::Now)).collect())
    }

    /// Those of `keys`, whose rows [`Write::lock`] has returned, or that rows of this transaction refer to, about which the log
    /// has an entry by now that says who has which key ([`Unread::Births`](super::Unread)), and that a window had not read: where it stood, and what it had removed,
    /// `since` and `read` say. A row that looks as it did then may be another record's (rule 3). One query, or two.
    async fn moved(
        &mut self,
        collection: &Collection,
        keys: &[Key],
        since: &Position,
        read: &ReadReceipt,
        by: MovedBy,
    ) -> Result<HashSet<KeyBytes>>;

    /// Makes the locks of these rows, which [`Write::lock`] has returned, as strong as a delete, a new key or a new value of a
    /// unique column needs, for other rows may be about to refer to them; without waiting. `false`: someone holds the row against
    /// it, and it goes back to work (rule 19). An engine with one kind of lock has nothing to do.
    async fn lock_identity(&mut self, _collection: &Collection, keys: &[Key]) -> Result<Vec<bool>> {
        Ok(vec![true; keys.len()])
    }

    /// Locks the collection against other creates of Twinrow's, and looks again for rows that match:
    /// as [`Window::find`](super::Window::find), now (rule 13).
    async fn find(&mut self, collection: &Collection, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>>;

    /// Creates rows and returns each one's key as the engine assigned it, in the order of `rows`.
    /// `fields`: the mapped columns that are sent, as indexes into `collection.columns`.
    async fn insert(&mut self, collection: &Collection, fields: &[usize], rows: &[Create]) -> Result<Vec<Outcome>>;

    /// Sets the same `fields` of many rows.
    async fn update(&mut self, collection: &Collection, fields: &[usize], rows: &[Change]) -> Result<Vec<Outcome>>;

    /// How far the deletion of each of these rows would go (rule 18). They are locked, and stay so: nobody can add a
    /// row that refers to one until the transaction ends. One query per table that refers to this one. An endpoint
    /// without foreign keys need not say anything.
    async fn reach(&mut self, _collection: &Collection, keys: &[Key]) -> Result<Vec<Reach>> {
        Ok(vec![Reach::Row; keys.len()])
    }

    /// Deletes rows.
    async fn delete(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Outcome>>;

    /// All constraints are made immediate; then the rows as they are stored now, and the position of
    /// our own last entry in the collection's log: no earlier entry of these keys can have a greater
    /// one, no later entry a smaller one.
    async fn read_back(&mut self, collection: &Collection, keys: &[Key]) -> Result<(Vec<Fetched>, Pos)>;

    /// The same transaction as a session for named statements: for receipts, and for the state where
    /// it lives here.
    fn session(&mut self) -> &mut dyn Session;

    /// Makes it durable.
    ///
    /// # Errors
    /// [`Kind::InDoubt`](crate::error::Kind) if the answer was lost after COMMIT was sent.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Undoes it.
    async fn rollback(self: Box<Self>) -> Result<()>;
}

/// A row to create.
#[derive(Clone, Debug)]
pub struct Create {
    /// The key, where it is copied; else the endpoint assigns one.
    pub key: Option<Key>,
    /// One value per field that is sent, in the order of `fields` of [`Write::insert`]; other columns keep
    /// their defaults.
    pub values: Row,
}

/// Fields of a row to change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The row.
    pub key: Key,
    /// Its version when it was read, for conditional writes.
    pub version: Option<String>,
    /// The new values, one per entry of the statement's field list.
    pub values: Vec<Value>,
}

/// What became of one record of a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Written. For a create: under this key.
    Done(Key),
    /// Refused, with a cause that quotes no values. A database never answers this: it fails whole, and the pipeline splits.
    Rejected(String),
    /// It was not as expected (a failed condition): nothing was written.
    Stale,
    /// Not now: an app asks for time, and nothing was written.
    Later,
    /// The answer was lost: only a look can tell.
    Unknown,
}

/// How far the deletion of a row would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only this row.
    Row,
    /// By `ON DELETE CASCADE`, rows of this table too: perhaps its own.
    Cascades(TableName),
    /// Perhaps rows of this table too, which the user may not read.
    Hidden(TableName),
    /// A row that refers to it is being written at this moment.
    Locked,
}

/// A row that was locked.
#[derive(Clone, Debug, PartialEq)]
pub enum Locked {
    /// It is the very version that was read.
    AsRead,
    /// As it is now.
    Now(Row),
}

/// Whose entries [`Write::moved`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovedBy {
    /// Anybody's, but for records that this integration has created, where the log tells them from others.
    Anybody,
    /// Those of others than this integration, and this very transaction.
    Others,
}
