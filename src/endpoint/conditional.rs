//! Writing where there are no transactions: an app's side of the contract.

use std::time::Duration;

use async_trait::async_trait;

use super::{Fetched, Outcome};
use crate::error::Result;
use crate::model::{Collection, Key, Pos, Row, Value};

/// Writing to an app: record by record, each on a condition, nothing locked and nothing undone.
///
/// No fence is possible here. A create carries a key of ours, noted as an intent before it is sent, so
/// that a lost answer can be looked up; an update and a delete carry the version they were decided on
/// (rule 20).
#[async_trait]
pub trait Conditional: Send + Sync {
    /// The most records of one [`Conditional::write`].
    fn batch(&self) -> usize;

    /// So long after it was sent a write has either taken effect, and shows in [`Conditional::look`], or
    /// it never will.
    fn settled_after(&self) -> Duration;

    /// Waits as long as the app has asked to be left alone: before a write is noted, so that it is not sent late.
    ///
    /// # Errors
    /// [`Kind::Unreachable`](crate::error::Kind) if that is too long to wait for.
    async fn ready(&self) -> Result<()>;

    /// The key of a record to create, from a text nobody else has.
    fn new_key(&self, token: &str) -> Key;

    /// Writes records, and tells of each what became of it, in the order of `edits`.
    ///
    /// # Errors
    /// Only if nothing was sent.
    async fn write(&self, collection: &Collection, edits: &[Edit]) -> Result<Vec<Edited>>;

    /// What stands under these keys now, or once did, as far as the app remembers: asked after a create whose answer
    /// was lost, so that what its user has deleted since is not made again (C2).
    async fn look(&self, collection: &Collection, keys: &[Key]) -> Result<Vec<Looked>>;
}

/// What a look by key found.
#[derive(Clone, Debug, PartialEq)]
pub enum Looked {
    /// A record.
    There(Fetched),
    /// None: it was deleted, which stands at this place in the feed of changes.
    Deleted(Pos),
    /// None, and there never was one: the app remembers what was deleted, and has nothing of it.
    Never,
    /// None. Whether there ever was one the app can't say.
    Absent,
}

/// One record to write. `values`: the fields that are sent, by index; all others stay as they are.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Only if nothing stands under this key.
    Create {
        /// Chosen by us.
        key: Key,
        /// What it begins with.
        values: Vec<(usize, Value)>,
    },
    /// Only if it is still of this version.
    Update {
        /// The record.
        key: Key,
        /// As it was fetched.
        version: Option<String>,
        /// What changes.
        values: Vec<(usize, Value)>,
    },
    /// Only if it is still of this version.
    Delete {
        /// The record.
        key: Key,
        /// As it was fetched.
        version: Option<String>,
    },
}

/// What became of an [`Edit`].
#[derive(Clone, Debug)]
pub struct Edited {
    /// Whether it was done.
    pub outcome: Outcome,
    /// If it was: the record as the app's own answer has it; empty after a delete.
    pub stored: Row,
    /// If it was: where it stands in the feed of changes.
    pub pos: Pos,
}
