//! What the change logs say: which keys are dirty, never values.

use super::{Key, Pos};

/// What happened to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A row appeared under this key.
    Insert,
    /// The row under this key may have changed. Also: it was touched in a way the log can't name.
    Update,
    /// The row under this key is gone.
    Delete,
    /// The row under this key has a new one.
    Rename {
        /// The key it has now.
        to: Key,
    },
    /// One statement (REPLACE) has put another row in the place of the one under this key: the same record, unless its values
    /// are another one's.
    Replace,
    /// The row under this key was deleted and inserted again in one transaction: the same record, if its values say so.
    PutBack,
    /// As [`Op::PutBack`], where the delete stood in a part of the log that was read before.
    Return {
        /// Where the delete stands.
        deleted: Pos,
    },
    /// All rows of the collection are gone, or may be: compare it whole.
    Truncate,
}

/// One entry of a change log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The collection, as an index into the list the window was opened with.
    pub collection: usize,
    /// What happened.
    pub op: Op,
    /// The key before; empty for [`Op::Truncate`].
    pub key: Key,
    /// Where it stands in the log.
    pub pos: Pos,
    /// The transaction it belongs to, where the engine says (PostgreSQL).
    pub transaction: Option<u64>,
    /// Written by this integration. A hint only: an echo is decided like everything else.
    pub own: bool,
}

/// How far a consumer has read a log, in its engine's own words; opaque to everyone else.
///
/// PostgreSQL: a `pg_snapshot`, and an lsn inside the next one. SQLite: a sequence number.
/// MySQL: nothing, what was read is removed. App: its feed's cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(pub String);
