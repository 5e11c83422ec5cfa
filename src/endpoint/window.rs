//! Reading: one moment of an endpoint, its log and its rows.

use std::collections::HashSet;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::error::Result;
use crate::model::{Collection, Entry, Key, KeyBytes, Normal, Position, Row, TableName, Value};

/// A collection with its place in the log.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// The collection.
    pub collection: Collection,
    /// The last position the state has recorded; `None`: begin here, no entries.
    pub since: Option<Position>,
}

/// What the state has recorded of one log.
#[derive(Clone, Debug)]
pub struct Acknowledge {
    /// The table.
    pub table: TableName,
    /// The position now in the cursor.
    pub position: Position,
    /// What the window said was read, for endpoints that remove exactly that.
    pub receipt: ReadReceipt,
}

/// What exactly was read of a log: its ids, where the endpoint acknowledges by id (MySQL), else empty.
#[derive(Clone, Debug, Default)]
pub struct ReadReceipt(pub Vec<i64>);

/// Keys that will be known soon.
pub type Keys = BoxFuture<'static, Vec<Key>>;

/// One moment of an endpoint. Dropped, it lets go of its connection.
#[async_trait]
pub trait Window: Send {
    /// The entries read, of all collections, in log order (by lsn or seq, never by transaction id, rule 7).
    fn entries(&self) -> &[Entry];

    /// Whether more entries were visible than the limit let in.
    fn more(&self) -> bool;

    /// What to record as the cursor of collection `i` once every entry is decided or remembered.
    fn position(&self, collection: usize) -> Position;

    /// What to acknowledge for collection `i`.
    fn receipt(&self, collection: usize) -> ReadReceipt;

    /// The rows under these keys at this moment, in the order of `keys`. One query. Of large rows only as many as there is
    /// room for in memory ([`ROWS_BYTES`](super::ROWS_BYTES)), one at least: for the others [`Fetched::Later`].
    async fn fetch(&mut self, collection: usize, keys: &[Key]) -> Result<Vec<Fetched>>;

    /// For each of `keys`, as a foreign key holds it, the key of the one row it refers to, as the collection itself spells it: a
    /// collation, or the type of a column, may take several spellings for the same. `None`: there is no such row, or its key is
    /// nothing but its bytes. A part may be of another kind than the key's column. One query.
    async fn spelled(&mut self, _collection: usize, keys: &[Key]) -> Result<Vec<Option<Key>>> {
        Ok(vec![None; keys.len()])
    }

    /// A hint that these rows will be fetched next: they may be read as soon as their keys are known, while the caller is busy
    /// with others. Only where it makes no difference when a row is read, because the moment is one transaction.
    fn ahead(&mut self, _collection: usize, _keys: Keys) {}

    /// Those of `keys` that an entry of this kind names which is visible at this moment but not among
    /// [`Window::entries`]: nothing may be concluded about them yet (rule 2). Asked after the rows
    /// were fetched: where "this moment" is not one transaction (SQLite), it is the later of the two.
    async fn unread(&mut self, collection: usize, keys: &[Key], which: Unread) -> Result<HashSet<KeyBytes>>;

    /// For each of `values` (one value per match field) the keys whose rows are equal under the stated
    /// normalisation, at most [`CANDIDATES_MAX`] + 1 each. NULL and empty text match nothing (C10).
    async fn find(&mut self, collection: usize, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>>;

    /// Whether a record that matches has come up since this moment, for each of `values`: as [`Window::find`] would say now
    /// of what was created or changed after it. Asked right before creates are sent to an app, where nothing can be locked
    /// (rule 13); a database is asked in the transaction that creates, by [`Write::find`](super::Write::find).
    async fn appeared(&mut self, collection: usize, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<bool>> {
        Ok(self.find(collection, rule, values).await?.iter().map(|found| !found.is_empty()).collect())
    }

    /// The next `limit` keys of the collection after `after` in key order: one page of a scan. Fewer
    /// than `limit` means the end, and only a complete answer is ever returned (S3-16).
    async fn page(&mut self, collection: usize, after: Option<&Key>, limit: usize) -> Result<Vec<Key>>;

    /// How many rows the collection has, about: for progress bars.
    async fn count(&mut self, collection: usize) -> Result<u64>;
}

/// More candidates than this are not listed.
pub const CANDIDATES_MAX: usize = 10;

/// What stands under a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Fetched {
    /// A row, one value per mapped column, and its version where the endpoint has one (ETag).
    Row(Row, Option<String>),
    /// No row. Not yet evidence of a delete (rule 2).
    Absent,
    /// A row that can't be read, with the cause; never taken for gone.
    Unreadable(String),
    /// Nothing is known: those before it take all the room there is. To be asked again when they are done with.
    Later,
}

/// Which unread entries matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unread {
    /// Deletes, renames, truncates.
    Moves,
    /// Inserts too: where a key may have been given out again without a word of its last holder (C4).
    Births,
    /// Everything: where it matters as what a row was written last.
    Writes,
}
