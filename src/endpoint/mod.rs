//! Endpoints: databases and apps, as the pipeline sees them.
//!
//! The contract of an endpoint stands here, on the traits. Every implementation passes one suite,
//! `tests/conformance`. An endpoint never sees the state; the pipeline hands an endpoint's own
//! transaction to the state where both live in one database (see [`Write::session`]).

pub mod app;
pub mod database;
mod room;
mod whereabouts;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};

use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Entry, Key, KeyBytes, Normal, Pos, Position, Row, Table, TableName, Value, hex};
use crate::sql::{Fence, Session, Store};

pub use room::{ROWS_BYTES, Room};
pub use whereabouts::{OnePlace, Whereabouts, one_place};

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
    /// [`Kind::Unreachable`] if that is too long to wait for.
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

/// How a connection is protected; an endpoint without a network has no use for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// How much is asked of the server.
    #[serde(default)]
    pub mode: TlsMode,
    /// The certificate authority's file; the system's authorities if absent.
    pub ca: Option<std::path::PathBuf>,
}

/// What is asked of the server, in libpq's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS if the server offers it; its certificate is not checked.
    #[default]
    Prefer,
    /// TLS, certificate unchecked.
    Require,
    /// TLS with a certificate of a known authority.
    VerifyCa,
    /// TLS with a certificate of a known authority for this host.
    VerifyFull,
}

/// Opens the endpoint a URL names. No connection is made yet.
///
/// # Errors
/// [`Kind::Config`] if no endpoint is built in for this scheme. The URL is never shown.
pub async fn open(name: &str, url: &str, tls: &Tls) -> Result<Arc<dyn Endpoint>> {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    match scheme {
        "sqlite" => Ok(Arc::new(database::sqlite::Sqlite::open(rest.strip_prefix("//").unwrap_or(rest), name))),
        "postgres" | "postgresql" => Ok(Arc::new(database::postgres::Postgres::open(&with_tls(url, tls), name)?)),
        "mysql" | "mariadb" => Ok(Arc::new(database::mysql::Mysql::open(&with_tls(url, tls), name)?)),
        _ => {
            let refused = Error::new(Kind::Config, format!("no endpoint is built in for `{scheme}:`"));
            Err(refused.context(format!("endpoint {name}")).hint("use sqlite:, postgres:, mysql: or mariadb:"))
        }
    }
}

/// As [`open`] for an app, whose objects a file of the user's declares.
///
/// # Errors
/// [`Kind::Config`] for a URL or a file that can't be used, with line and column.
pub fn open_app(name: &str, url: &str, tls: &Tls, manifest: &std::path::Path) -> Result<Arc<dyn Endpoint>> {
    Ok(Arc::new(app::App::open(name, url, tls, manifest)?))
}

/// The URL with what the configuration says of TLS, in libpq's words; what the URL says itself stands.
fn with_tls(url: &str, tls: &Tls) -> String {
    let mode = match tls.mode {
        TlsMode::Disable => "disable",
        TlsMode::Prefer => "prefer",
        TlsMode::Require => "require",
        TlsMode::VerifyCa => "verify-ca",
        TlsMode::VerifyFull => "verify-full",
    };
    let mut url = url.to_owned();
    let mut add = |name: &str, value: &str| {
        if !url.contains(&format!("{name}=")) {
            let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            url = format!("{url}{}{name}={value}", if url.contains('?') { '&' } else { '?' });
        }
    };
    add("sslmode", mode);
    if let Some(ca) = &tls.ca {
        add("sslrootcert", &ca.to_string_lossy());
    }
    url
}

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
    /// room for in memory ([`ROWS_BYTES`]), one at least: for the others [`Fetched::Later`].
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
    /// (rule 13); a database is asked in the transaction that creates, by [`Write::find`].
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
    /// has an entry by now that says who has which key ([`Unread::Births`]), and that a window had not read: where it stood, and what it had removed,
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
    /// as [`Window::find`], now (rule 13).
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

/// What Twinrow installs in a database: its own tables, a change log and triggers per tracked table.
#[async_trait]
pub trait Tracking: Send + Sync {
    /// The exact script [`Tracking::install`] would run, for a DBA; running it by hand is as good.
    /// Empty if all is in place. `home`: this database also holds the state.
    async fn script(&self, tables: &[Table], home: bool) -> Result<String>;

    /// Brings Twinrow's own tables to this program's version: before anything else is read of them or written. A
    /// no-op if they are, or if none are there. The logs and triggers follow when they are inspected. Returns what it
    /// did, a line each.
    ///
    /// # Errors
    /// [`Kind::Tracking`](crate::error::Kind) if a newer program has installed them; so do all other methods but `uninstall`.
    async fn upgrade(&self, home: bool) -> Result<Vec<String>>;

    /// Creates what is missing, replaces what is older, one table per transaction, never blocking the
    /// application for more than 2 s (A33); a no-op if all is in place. Returns what it did, a line each.
    ///
    /// Where tracking is repaired and changes may have been missed, the log says so itself, in an [`Op::Truncate`](crate::model::Op),
    /// or is made anew: so the gap is compared whoever repaired it, and by whatever script.
    async fn install(&self, tables: &[Table], home: bool) -> Result<Vec<String>>;

    /// Compares what is there with what should be. Cheap: called at every poll.
    async fn inspect(&self, tables: &[Table]) -> Result<Vec<Finding>>;

    /// What this login may not do though it must, and what it does not see and can do without. With no needs: on our own tables.
    async fn rights(&self, _needs: &[Need]) -> Result<Rights> {
        Ok(Rights::default())
    }

    /// Refuses what [`Tracking::uninstall`] could not finish with the rights of this login, and leaves all as it is: with the
    /// triggers gone and the rest there, nothing is captured any more.
    ///
    /// # Errors
    /// [`Kind::Denied`](crate::error::Kind), with what is missing and the statements that grant it.
    async fn may_uninstall(&self, _integration: Option<&str>, _tables: &[TableName]) -> Result<()> {
        Ok(())
    }

    /// Removes the tracking of these tables for `integration` (what another integration uses stays),
    /// or everything of Twinrow's with `None`; triggers first, then functions, then tables (A69); works
    /// on half-removed installations. Returns what it removed, a line each.
    async fn uninstall(&self, integration: Option<&str>, tables: &[TableName]) -> Result<Vec<String>>;

    /// Registers `integration` as a consumer of these tables' logs, so that nothing it has not read is
    /// removed, and returns the position from which it will miss nothing: for each table the current one.
    /// Repeated: the registered one stays, and is not moved.
    async fn register(&self, integration: &str, tables: &[Table]) -> Result<Vec<Position>>;

    /// For each cursor that was taken on a log that is no more (dropped, emptied, made again: A11), on another history of it
    /// (a standby took over: A65), or that `integration` is no longer registered with (it was uninstalled, S2-19), registers
    /// it with the log there is now, and returns a position there: what lies between can only be compared. `None`: the
    /// cursor is good, or it is not for a new log to mend. Asked once the fences have been found to agree (rule 17).
    async fn renew(&self, integration: &str, cursors: &[(Table, Position)]) -> Result<Vec<Option<Position>>>;
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

/// Whose entries [`Write::moved`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovedBy {
    /// Anybody's, but for records that this integration has created, where the log tells them from others.
    Anybody,
    /// Those of others than this integration, and this very transaction.
    Others,
}

/// What is done with a table, which is read in any case.
#[derive(Clone, Debug)]
pub struct Need {
    /// The table.
    pub table: TableName,
    /// The columns that are read: the key's, and the mapped ones.
    pub columns: Vec<String>,
    /// The columns that a new record leaves to their defaults.
    pub defaults: Vec<String>,
    /// Records are created and changed in it.
    pub write: bool,
    /// Deletes travel to it.
    pub delete: bool,
    /// Its log and triggers are still to be made.
    pub install: bool,
}

/// What a login lacks, a sentence each, with the statement that grants it where the engine has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// What must be granted: `this login lacks INSERT on public.customer`.
    pub missing: Vec<String>,
    /// What may be.
    pub warnings: Vec<String>,
}

/// Something is not as installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table.
    pub table: TableName,
    /// What is wrong, in words: `trigger zz_twinrow_… is disabled`.
    pub problem: String,
    /// Changes may have been missed: after the repair the collection is compared.
    pub gap: bool,
    /// It may be another table under the name of the old one: its numbers may have been given out again.
    pub replaced: bool,
}
