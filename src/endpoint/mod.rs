//! Endpoints: databases and apps, as the pipeline sees them.
//!
//! The contract of an endpoint stands here, on the traits: [`Endpoint`] in this file, what it hands out in `window`, `write`,
//! `conditional` and `tracking`. Every implementation passes one suite, `tests/conformance`. An endpoint never sees the
//! state; the pipeline hands an endpoint's own transaction to the state where both live in one database (see
//! [`Write::session`]).

pub mod app;
mod conditional;
pub mod database;
mod open;
mod room;
mod tracking;
mod whereabouts;
mod window;
mod write;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::model::{Table, TableName, hex};
use crate::sql::{Fence, Store};

pub use conditional::{Conditional, Edit, Edited, Looked};
pub use open::{Tls, TlsMode, open, open_app};
pub use room::{ROWS_BYTES, Room};
pub use tracking::{Finding, Need, Rights, Tracking};
pub use whereabouts::{OnePlace, Whereabouts, one_place};
pub use window::{Acknowledge, CANDIDATES_MAX, Fetched, Keys, ReadReceipt, Tracked, Unread, Window};
pub use write::{Change, Create, Locked, MovedBy, Outcome, Reach, Write};

/// What an endpoint can and can't do. Data, so that `check` and `plan` can say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Writes are transactions with receipts and a fence row. Without: intents, conditional writes.
    pub transactions: bool,
    /// Deletes show up in [`Window::entries`].
    pub deletes: bool,
    /// The engine's name and version, for people.
    pub version: String,
}

/// One side's system. Cheap to clone behind an `Arc`; opens connections as it needs them and limits them itself.
#[async_trait]
pub trait Endpoint: Send + Sync {
    /// What it can do; asks the server once and remembers.
    async fn capabilities(&self) -> Result<Capabilities>;

    /// The tables of this name, or all a user could sync, from the catalog: never from the data.
    ///
    /// # Errors
    /// [`Kind::Schema`](crate::error::Kind) if a named table does not exist, with the nearest name as hint.
    async fn describe(&self, names: Option<&[TableName]>) -> Result<Vec<Table>>;

    /// What tells the columns of these tables from others of their names that were dropped before, and from themselves before they
    /// were defined in another way; of each table in the order of the catalog. Nothing of a table that is not there, or where this
    /// endpoint does not tell. Cheap: asked at every poll.
    async fn born(&self, tables: &[TableName]) -> Result<Vec<Vec<Born>>> {
        Ok(vec![Vec::new(); tables.len()])
    }

    /// Opens one moment of this endpoint for reading: the log entries after `since[i]` for collection
    /// `i` and the rows as they are at that same moment (rule 2). At most about `limit` entries are
    /// read; the rest comes with the next window.
    ///
    /// Every call sees what was committed before it (A6). It never blocks the application and is never
    /// blocked by it, and reads past open transactions (A3, A4).
    ///
    /// # Errors
    /// [`Kind::Tracking`](crate::error::Kind) if a log is not the one the position was taken on (A11), or can't be read.
    async fn window(&self, collections: &[Tracked], limit: usize) -> Result<Box<dyn Window>>;

    /// Begins a write transaction; its first statement takes and checks the fence row, and nothing
    /// else is sent before the answer (rule 4).
    ///
    /// Sessions that write have strict modes, UTC, no RLS filtering, server-side statement and idle
    /// time-outs, and a lock time-out below the deadlock time-out (rule 19).
    ///
    /// # Errors
    /// [`Kind::Fenced`](crate::error::Kind) if the fence row has another epoch.
    async fn begin(&self, fence: &Fence) -> Result<Box<dyn Write>>;

    /// Tells the endpoint that the state has recorded `upto` for this consumer: entries every consumer
    /// has are removed, in small steps, never by a range of ids (A8). Fenced.
    async fn acknowledge(&self, fence: &Fence, upto: &[Acknowledge]) -> Result<()>;

    /// Keeps the logs of these tables short though somebody does not read them: removes updates that keep their key
    /// and that a newer entry of the same key repeats (rule 9). Never anything else, and nothing of a transaction
    /// that is not over. One bite of it, small enough to be taken between two cycles; `true`: there is more to do.
    /// Fenced. Called between windows, never while one is open.
    async fn compact(&self, _fence: &Fence, _tables: &[Table]) -> Result<bool> {
        Ok(false)
    }

    /// How many entries of each log come after its position; where there are more than `most`, any number above it.
    async fn backlog(&self, collections: &[Tracked], _most: u64) -> Result<Vec<u64>> {
        Ok(vec![0; collections.len()])
    }

    /// Transactions that have changed these tables and have been open for a second or more: what they did comes when
    /// they end. They hold up nobody else's changes (A3, A4); it is for people who wait for one of theirs.
    async fn open_transactions(&self, _tables: &[Table]) -> Result<OpenTransactions> {
        Ok(OpenTransactions::default())
    }

    /// Where it leads, with a sign that is shown there as long as the answer lives; nothing is written. `None`: it has no sign
    /// to show.
    async fn whereabouts(&self) -> Result<Option<Whereabouts>> {
        Ok(None)
    }

    /// Whether this sign is shown where this endpoint leads: whoever shows it leads there too.
    async fn leads_to(&self, _sign: &str) -> Result<bool> {
        Ok(false)
    }

    /// The endpoint's tables of Twinrow's own, for fence and receipts; `None` for an app.
    fn store(&self) -> Option<&dyn Store>;

    /// Installing, checking and removing the tracking objects; `None` for an app.
    fn tracking(&self) -> Option<&dyn Tracking>;

    /// How records are written where there are no transactions; `None` for a database.
    fn conditional(&self) -> Option<&dyn Conditional> {
        None
    }
}

/// One column of a table, and no other one of its name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Born {
    /// Its name.
    pub name: String,
    /// A number of the table, and one of the column that no other one of the same table ever has; where the engine has them.
    pub number: Option<(i64, i64)>,
    /// A hash of how it is defined: its type, with the labels of an enum, and of a computed column the expression. Changed, its
    /// values may be others, and no log tells of it. `None`: nobody has looked.
    #[serde(default)]
    pub definition: Option<String>,
}

impl Born {
    /// A column as the catalog has it now, with the words that define it.
    fn new(name: String, number: Option<(i64, i64)>, definition: &str) -> Born {
        let hash = Sha256::digest(definition.as_bytes());
        Born { name, number, definition: Some(hex(&hash[..8])) }
    }
}

/// What an endpoint knows of transactions that are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenTransactions {
    /// The longest one first.
    pub transactions: Vec<OpenTransaction>,
    /// The statement that gives our login the right to see what it could not see.
    pub missing_right: Option<String>,
}

/// A transaction that is not over.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OpenTransaction {
    /// `process 4711 of user app (psql)`.
    pub who: String,
    /// In seconds since 1970, if we may know.
    pub since: Option<i64>,
    /// The tables whose changes it holds back; empty: the server does not say which.
    pub tables: Vec<String>,
}

impl OpenTransactions {
    /// Adds what was found out: one transaction may hold several tables.
    fn add(&mut self, found: OpenTransaction) {
        match self.transactions.iter_mut().find(|known| known.who == found.who) {
            Some(known) => known.tables.extend(found.tables),
            None => self.transactions.push(found),
        }
    }
}
