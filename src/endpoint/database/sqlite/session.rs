//! Connections, each on a thread of its own, and the named statements run on them.

use std::cell::Cell as Local;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, ffi, params_from_iter};

use crate::error::{Error, Kind, MAKE_ROOM, Result};
use crate::sql::{Cell, Cells, Fence, Session, Transaction};

crate::statements!("sqlite");

/// How often we look whether the application's transaction has ended, and for how long at most before we come back
/// later. SQLite's own handler waits ever longer between two looks, and so hardly gets a turn between writers that
/// follow close upon each other. Where the journal is one for rollback, a COMMIT that waits for a reader keeps out
/// new ones: none of them may wait for two seconds (A33).
const BUSY_LOOK: Duration = Duration::from_millis(5);
const BUSY_MAX: Duration = Duration::from_millis(1_500);

thread_local! {
    /// Since when this thread's connection has been waiting.
    static BUSY_SINCE: Local<Option<Instant>> = const { Local::new(None) };
}

/// Whether to look again: by the clock, for on a busy machine a look takes longer.
fn look_again(looks: i32) -> bool {
    let now = Instant::now();
    if looks == 0 {
        BUSY_SINCE.set(Some(now));
    }
    std::thread::sleep(BUSY_LOOK);
    BUSY_SINCE.get().is_some_and(|since| now.duration_since(since) < BUSY_MAX)
}

/// Idle connections kept open.
const IDLE_MAX: usize = 4;

/// Opens connections to one file, and keeps some.
pub(super) struct Pool {
    /// What the endpoint is called in errors.
    name: String,
    path: PathBuf,
    flags: OpenFlags,
    idle: Mutex<Idle>,
}

/// Connections that nobody uses at the moment, all to the same file.
#[derive(Default)]
struct Idle {
    file: Option<String>,
    connections: Vec<tokio_rusqlite::Connection>,
}

impl Idle {
    /// One of them. Where there is another file under the path by now (a copy was moved into its place), what is open leads to
    /// one that nobody else sees any more: all are let go.
    fn take(&mut self, file: Option<String>) -> Option<tokio_rusqlite::Connection> {
        if self.file != file {
            self.connections.clear();
            self.file = file;
        }
        self.connections.pop()
    }

    fn put_back(&mut self, connection: tokio_rusqlite::Connection, file: &Option<String>) {
        if self.file == *file && self.connections.len() < IDLE_MAX {
            self.connections.push(connection);
        }
    }
}

impl Pool {
    pub(super) fn new(name: &str, path: PathBuf, create: bool) -> Pool {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Never by chance: a mistyped path must not become an empty database.
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
        Pool { name: name.to_owned(), path, flags, idle: Mutex::default() }
    }

    /// What tells this file from every other one, by whatever path it is reached.
    pub(super) fn file(&self) -> Option<String> {
        let found = std::fs::metadata(&self.path).ok()?;
        Some(format!("file {}:{}", found.dev(), found.ino()))
    }

    pub(super) async fn connect(self: &Arc<Pool>) -> Result<Lease> {
        let file = self.file();
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take(file.clone());
        let connection = match kept {
            Some(connection) => connection,
            None => self.open().await?,
        };
        // One that was made at this moment is told apart when it comes back.
        let file = file.or_else(|| self.file());
        Ok(Lease { connection, pool: Arc::clone(self), file, clean: true })
    }

    async fn open(&self) -> Result<tokio_rusqlite::Connection> {
        let place = self.path.display();
        let other_file =
            "correct the path in the URL of this endpoint, or see that it may be read and written, then: twinrow check";
        let unreachable = |error| {
            let error = fault(error).context(format!("open {place}"));
            if error.kind() == Kind::Unreachable && error.next_step().is_none() { error.hint(other_file) } else { error }
        };
        let connection = tokio_rusqlite::Connection::open_with_flags(&self.path, self.flags).await.map_err(unreachable)?;
        let prepared = connection.call(|c| {
            c.busy_handler(Some(look_again))?;
            c.pragma_update(None, "foreign_keys", true)?;
            c.set_prepared_statement_cache_capacity(128);
            c.query_row("select count(*) from sqlite_master", [], |_| Ok(()))
        });
        prepared.await.map_err(closed(unreachable))?;
        Ok(connection)
    }
}

/// A connection for a while. It goes back to the pool unless a transaction may be open on it: then
/// it is closed, which rolls back.
pub(super) struct Lease {
    connection: tokio_rusqlite::Connection,
    pool: Arc<Pool>,
    /// The file it was opened on.
    file: Option<String>,
    clean: bool,
}

impl Lease {
    /// Runs `work` on the connection's own thread.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.connection.call(work).await.map_err(closed(|error: Error| error.context(format!("endpoint {}", self.pool.name))))
    }

    /// Runs `work` in one read transaction. It is as short as `work`: in rollback-journal mode an
    /// open reader makes the application's writes fail (A71).
    pub(super) async fn read<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.run(move |connection| {
            let transaction = connection.transaction().map_err(fault)?;
            let result = work(&transaction)?;
            transaction.rollback().map_err(fault)?;
            Ok(result)
        })
        .await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.clean {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).put_back(self.connection.clone(), &self.file);
        }
    }
}

fn closed<E>(convert: impl Fn(E) -> Error) -> impl Fn(tokio_rusqlite::Error<E>) -> Error {
    move |error| match error {
        tokio_rusqlite::Error::Error(error) => convert(error),
        _ => Error::new(Kind::Retry, "the connection's thread has ended"),
    }
}

/// What SQLite said, classified. Only messages of constraints are kept: they name tables, columns and
/// checks. All others may quote what a trigger or the data says (I10).
pub(super) fn fault(error: rusqlite::Error) -> Error {
    let (code, message) = match &error {
        rusqlite::Error::SqliteFailure(code, message) => (*code, message.as_deref().unwrap_or_default()),
        // Where the library can tell the place in the statement: a column that is gone (F13).
        rusqlite::Error::SqlInputError { error, msg, .. } => (*error, msg.as_str()),
        _ => return Error::new(Kind::Internal, "an unexpected answer of SQLite's library").source(error),
    };
    let kind = match (code.code, code.extended_code) {
        (
            ErrorCode::ConstraintViolation,
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID,
        ) => Kind::Duplicate,
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::SchemaChanged, _) => Kind::Retry,
        (ErrorCode::OperationInterrupted | ErrorCode::FileLockingProtocolFailed, _) => Kind::Retry,
        // Another file was moved into its place: that one is opened the next time.
        (_, ffi::SQLITE_READONLY_DBMOVED) => Kind::Retry,
        (ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::DiskFull, _) => Kind::Unreachable,
        (ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt, _) => Kind::Unreachable,
        (ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::AuthorizationForStatementDenied, _) => Kind::Denied,
        (ErrorCode::Unknown, _) if names(message).any(|name| name.starts_with("twinrow_")) => Kind::Tracking,
        (ErrorCode::Unknown, _) if message.starts_with("no such ") => Kind::Schema,
        _ => Kind::Rejected,
    };
    let shown = match (code.code, code.extended_code) {
        (ErrorCode::ConstraintViolation, ffi::SQLITE_CONSTRAINT_TRIGGER) => "refused by a trigger",
        (ErrorCode::ConstraintViolation, _) => message,
        (ErrorCode::DatabaseBusy, _) => "another connection is using the file",
        (_, ffi::SQLITE_READONLY_DBMOVED) => "another file was moved into the place of this one",
        (ErrorCode::Unknown, _) if kind != Kind::Rejected => message,
        _ => ffi::code_to_str(code.extended_code),
    };
    let shown = format!("{shown} (SQLite {})", code.extended_code);
    let full = code.code == ErrorCode::DiskFull;
    let error = Error::new(kind, shown).source(error);
    match kind {
        _ if full => error.hint(MAKE_ROOM),
        Kind::Tracking => error.hint("twinrow check"),
        _ => error,
    }
}

fn names(message: &str) -> impl Iterator<Item = &str> {
    message.split([' ', ':', '.', '"']).filter(|word| !word.is_empty())
}

/// Runs a named statement once for each row of `set`; the result rows, and how many rows it changed.
fn run(connection: &Connection, name: &str, set: &[Cells]) -> Result<(Vec<Cells>, u64)> {
    let text = statement(name).ok_or_else(|| Error::new(Kind::Internal, format!("no statement {name}")))?;
    let mut prepared = connection.prepare_cached(text).map_err(fault)?;
    let columns = prepared.column_count();
    let (mut found, mut changed) = (Vec::new(), 0);
    for cells in set {
        let mut rows = prepared.query(params_from_iter(cells)).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            found.push((0..columns).map(|i| row.get_ref(i).map_err(fault).and_then(cell)).collect::<Result<Cells>>()?);
        }
        drop(rows);
        if !prepared.readonly() {
            changed += connection.changes();
        }
    }
    Ok((found, changed))
}

fn cell(value: ValueRef<'_>) -> Result<Cell> {
    let broken = || Error::new(Kind::Internal, "a table of Twinrow's own holds a value of a foreign type");
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Int(value),
        ValueRef::Real(_) => return Err(broken()),
        ValueRef::Text(text) => Cell::Text(std::str::from_utf8(text).map_err(|_| broken())?.to_owned()),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
    })
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Int(value) => ValueRef::Integer(*value),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A session outside any transaction.
pub(super) struct Reader(pub(super) Lease);

#[async_trait]
impl Session for Reader {
    async fn query(&mut self, name: &'static str, set: &[Cells]) -> Result<Vec<Cells>> {
        let set = set.to_vec();
        self.0.run(move |connection| Ok(run(connection, name, &set)?.0)).await
    }

    async fn execute(&mut self, name: &'static str, set: &[Cells]) -> Result<u64> {
        let set = set.to_vec();
        self.0.run(move |connection| Ok(run(connection, name, &set)?.1)).await
    }
}

/// An open write transaction. SQLite has one writer: until it ends, nobody else changes anything.
pub(super) struct Writer {
    lease: Lease,
    /// A statement failed. A constraint may have rolled back the whole transaction (ON CONFLICT
    /// ROLLBACK), and what came after would be committed piece by piece.
    broken: bool,
}

impl Writer {
    /// Begins without a fence: for installing and registering.
    pub(super) async fn unfenced(pool: &Arc<Pool>) -> Result<Writer> {
        Writer::start(pool, true).await
    }

    /// `spill`: what does not fit into the cache goes into the file before COMMIT.
    async fn start(pool: &Arc<Pool>, spill: bool) -> Result<Writer> {
        let mut lease = pool.connect().await?;
        lease.clean = false;
        let mut writer = Writer { lease, broken: false };
        // IMMEDIATE: a read that later wants to write fails at once, whatever the time-out (A71).
        let begin = move |connection: &Connection| {
            // Heard only outside a transaction.
            connection.pragma_update(None, "cache_spill", spill)?;
            connection.execute_batch("begin immediate")
        };
        writer.run(move |connection| begin(connection).map_err(fault)).await?;
        Ok(writer)
    }

    pub(super) async fn begin(pool: &Arc<Pool>, fence: &Fence) -> Result<Writer> {
        // A cache that overflows into the file keeps out every reader until the transaction ends, where the journal is
        // one for rollback, and waits for each: the application's, and our own. A batch is in memory anyway.
        let mut writer = Writer::start(pool, false).await?;
        let Fence { integration, epoch } = fence.clone();
        let cells = vec![Cell::Text(integration), Cell::Int(epoch)];
        if writer.execute("fence_check", &[cells]).await? == 0 {
            writer.end("rollback").await?;
            let message = format!("another process has taken over {} (our epoch was {})", fence.integration, fence.epoch);
            return Err(Error::new(Kind::Fenced, message).hint("twinrow status"));
        }
        Ok(writer)
    }

    /// Runs `work` in the transaction; after an error nothing more is.
    pub(super) async fn run<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        if self.broken {
            return Err(Error::new(Kind::Internal, "a transaction is used after an error in it"));
        }
        self.broken = true;
        let result = self.lease.run(|connection| work(connection)).await?;
        self.broken = false;
        Ok(result)
    }

    pub(super) async fn end(mut self, how: &'static str) -> Result<()> {
        let ended = self.lease.run(move |connection| {
            if connection.is_autocommit() && how == "rollback" {
                return Ok(());
            }
            connection.execute_batch(how).map_err(fault)
        });
        ended.await?;
        self.lease.clean = true;
        Ok(())
    }

    /// COMMIT. Refused, it has done nothing: a deferred constraint, or readers in the way. Failed in the
    /// file system, only a look can tell.
    pub(super) async fn commit(self) -> Result<()> {
        if self.broken {
            return Err(Error::new(Kind::Internal, "a transaction is committed after an error in it"));
        }
        let endpoint = format!("endpoint {}", self.lease.pool.name);
        self.end("commit").await.map_err(|error| match error.kind() {
            Kind::Unreachable => {
                let doubt = format!("COMMIT failed in the file system: {}", error.message());
                let hint = error.next_step().unwrap_or("twinrow run --once").to_owned();
                Error::new(Kind::InDoubt, doubt).context(endpoint).hint(hint).source(error)
            }
            _ => error,
        })
    }
}

#[async_trait]
impl Session for Writer {
    async fn query(&mut self, name: &'static str, set: &[Cells]) -> Result<Vec<Cells>> {
        let set = set.to_vec();
        self.run(move |connection| Ok(run(connection, name, &set)?.0)).await
    }

    async fn execute(&mut self, name: &'static str, set: &[Cells]) -> Result<u64> {
        let set = set.to_vec();
        self.run(move |connection| Ok(run(connection, name, &set)?.1)).await
    }
}

#[async_trait]
impl Transaction for Writer {
    async fn commit(self: Box<Self>) -> Result<()> {
        Writer::commit(*self).await
    }

    async fn rollback(self: Box<Self>) -> Result<()> {
        self.end("rollback").await
    }
}
