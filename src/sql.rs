//! Named statements on Twinrow's own tables, and what can run them.
//!
//! Every statement stands in a file, `sql/<engine>/<name>.sql`, under the same name for each engine.
//! The callers (`state`, and the fence and receipts of an endpoint) know names and parameters only;
//! `sql/README.md` lists both.

use async_trait::async_trait;

use crate::error::{Error, Kind, Result};

/// A parameter of, or a column returned by, a named statement. Our own tables need no other types.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cell {
    /// `NULL`.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// One row of parameters or results.
pub type Cells = Vec<Cell>;

/// An open transaction (or, outside one, a connection) that runs named statements.
///
/// It is also the opaque handle by which data and map commit together: where the endpoint written to
/// holds the state, the pipeline hands the endpoint's transaction to the state as this.
#[async_trait]
pub trait Session: Send {
    /// Runs statement `name` as if once for each row of `set`, and returns all result rows, in no
    /// particular order. An empty `set` does nothing.
    ///
    /// One round trip whatever the size of the set, but for SQLite, where a round trip is a function
    /// call.
    ///
    /// # Errors
    /// As the server says, classified; after an error a transaction can only be rolled back.
    async fn query(&mut self, name: &'static str, set: &[Cells]) -> Result<Vec<Cells>>;

    /// As [`Session::query`], and returns how many rows were inserted, changed or deleted in all. A row
    /// that an update matched counts even if it was set to what it held.
    async fn execute(&mut self, name: &'static str, set: &[Cells]) -> Result<u64>;

    /// The longest text that goes into, or comes out of, one row of a set of its own.
    fn longest(&self) -> usize {
        usize::MAX
    }
}

/// A database that opens [`Session`]s: what `state` needs of the home endpoint.
#[async_trait]
pub trait Store: Send + Sync {
    /// Begins a write transaction for `fence`, whose first statement takes and checks the fence row
    /// (rule 4).
    ///
    /// # Errors
    /// [`Kind::Fenced`] if another process has taken over.
    async fn begin(&self, fence: &Fence) -> Result<Box<dyn Transaction>>;

    /// A session outside any transaction, each statement on its own: for reads.
    async fn session(&self) -> Result<Box<dyn Session>>;
}

/// A [`Session`] that ends by commit or rollback. Dropped, it rolls back.
#[async_trait]
pub trait Transaction: Session {
    /// Makes it durable.
    ///
    /// # Errors
    /// [`Kind::InDoubt`] if the answer was lost after COMMIT was sent.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Undoes it.
    async fn rollback(self: Box<Self>) -> Result<()>;
}

/// Whose turn it is to write for an integration: a stale process's writes fail on it (I8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The integration's name.
    pub integration: String,
    /// Increased by every take-over.
    pub epoch: i64,
}

/// A cell that must be an integer.
pub fn int(cell: &Cell) -> Result<i64> {
    match cell {
        Cell::Int(value) => Ok(*value),
        Cell::Null | Cell::Text(_) | Cell::Bytes(_) => Err(unexpected("an integer")),
    }
}

/// A cell that must be text.
pub fn text(cell: &Cell) -> Result<&str> {
    match cell {
        Cell::Text(value) => Ok(value),
        Cell::Null | Cell::Int(_) | Cell::Bytes(_) => Err(unexpected("text")),
    }
}

/// A cell that holds bytes or `NULL`.
pub fn bytes(cell: &Cell) -> Result<Option<&[u8]>> {
    match cell {
        Cell::Null => Ok(None),
        Cell::Bytes(value) => Ok(Some(value)),
        Cell::Int(_) | Cell::Text(_) => Err(unexpected("bytes")),
    }
}

fn unexpected(what: &str) -> Error {
    Error::new(Kind::Internal, format!("a table of Twinrow's own holds something that is not {what}")).hint("twinrow check")
}

/// The text of every named statement of one engine, from `sql/<engine>/`.
#[macro_export]
macro_rules! statements {
    ($engine:literal) => {
        $crate::statements!(@list $engine,
            "brake_approve", "brake_count", "brake_delete", "brake_read", "brake_reset", "brake_window", "brake_write",
            "collection_lock", "conflict_absorb", "conflict_count", "conflict_decided", "conflict_drop", "conflict_hold", "conflict_keep", "conflict_links",
            "conflict_list", "conflict_pending", "conflict_row", "conflict_show", "conflict_sweep", "conflict_values", "conflict_write", "cursor_read", "cursor_write", "edge_delete", "edge_read", "edge_write",
            "fence_check", "fence_home", "fence_insert", "fence_read",
            "fence_take", "intent_delete", "intent_move", "intent_read", "intent_write", "lease_beat", "lease_others", "lease_read",
            "lease_take",
            "link_next", "link_read", "link_write", "pair_any", "pair_by_id", "pair_by_source", "pair_by_source_former",
            "pair_by_target", "pair_by_target_former", "pair_count", "pair_detach_source", "pair_detach_target",
            "pair_absorb", "pair_insert", "pair_let_go", "pair_log_anew", "pair_page", "pair_rebase", "pair_total", "pair_update", "receipt_delete", "receipt_insert", "receipt_read", "run_read",
            "run_write", "scan_delete", "scan_read", "scan_write", "seen_read", "seen_write", "setting_add", "setting_read",
            "setting_write", "work_approve", "work_count", "work_delete", "work_due", "work_hasten", "work_list", "work_read", "work_release",
            "work_retry", "work_touch", "work_write"
        );
    };
    (@list $engine:literal, $($name:literal),*) => {
        /// The text of the named statement.
        pub(crate) fn statement(name: &str) -> Option<&'static str> {
            match name {
                $($name => Some(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/", $engine, "/", $name, ".sql"))),)*
                _ => None,
            }
        }
    };
}
