//! Connections: how they are made, kept and given back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error as Driver, Opts, Params, Row, Value as Wire};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::catalog::{key_index, qualified, quoted};
use super::error::{at_commit, classify, unreachable};
use super::flavour::Flavour;
use super::unable;
use crate::error::{Error, Kind, Result};
use crate::model::Table;

/// Connections to one server at most: a window, a write, the state, one to spare each.
const CONNECTIONS_MAX: usize = 8;
/// An index that a statement names has another name now.
const LOST_INDEX: u16 = 1176;
/// The server hangs up after 60 s; we do it first.
const IDLE_MAX: Duration = Duration::from_secs(40);

/// What every connection of ours is set to, whatever the server's defaults are.
const SETTINGS: [&str; 3] = [sql!("session_names"), sql!("session_isolation"), sql!("session_begin")];

/// What the server said about itself when we connected.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) flavour: Flavour,
    /// The database of the connection, where Twinrow's own tables are.
    pub(super) database: String,
    /// Bytes a statement may take.
    pub(super) packet: usize,
}

/// A few connections, opened as they are needed.
pub(super) struct Pool {
    /// What the endpoint is called in errors.
    name: String,
    /// Ways to connect, the next one if a server has no TLS.
    opts: Vec<Opts>,
    idle: Mutex<Vec<(Conn, Option<String>, Instant)>>,
    permits: Arc<Semaphore>,
    server: Mutex<Option<Server>>,
    /// The index of each table's key, by its quoted name.
    key_indexes: Mutex<HashMap<String, String>>,
    /// Whether InnoDB's numbers of tables are worth asking for: they are shown to those with PROCESS only.
    numbers: AtomicBool,
}

impl Pool {
    pub(super) fn new(name: &str, opts: Vec<Opts>) -> Arc<Pool> {
        Arc::new(Pool {
            name: name.to_owned(),
            opts,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            server: Mutex::default(),
            key_indexes: Mutex::default(),
            numbers: AtomicBool::new(true),
        })
    }

    /// A connection that answers, outside any transaction.
    pub(super) async fn get(self: &Arc<Self>) -> Result<Connection> {
        let closed = |_| Error::new(Kind::Internal, "the pool is closed");
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(closed)?;
        while let Some((mut conn, origin, since)) = self.idle() {
            if since.elapsed() < IDLE_MAX && conn.ping().await.is_ok() {
                let server = self.server().ok_or_else(|| Error::new(Kind::Internal, "a connection without a server"))?;
                return Ok(Connection::new(conn, origin, server, self, permit));
            }
        }
        let mut conn = self.connect().await?;
        for setting in SETTINGS {
            conn.query_drop(setting).await.map_err(unreachable)?;
        }
        let server = ask(&mut conn).await?;
        conn.query_drop(server.flavour.timeouts()).await.map_err(unreachable)?;
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server.clone());
        Ok(Connection::new(conn, None, server, self, permit))
    }

    async fn connect(&self) -> Result<Conn> {
        let mut last = None;
        for opts in &self.opts {
            match unable::connect(opts).await? {
                Ok(conn) => return Ok(conn),
                Err(error) if unable::has_no_tls(&error) => last = Some(error),
                Err(error) => return Err(unable::refused(opts, error).await),
            }
        }
        Err(last.map_or_else(|| Error::new(Kind::Internal, "no way to connect"), unreachable))
    }

    fn idle(&self) -> Option<(Conn, Option<String>, Instant)> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn server(&self) -> Option<Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Which server this is, and whether it took the character set: some answer with latin1 and no error (D12).
async fn ask(conn: &mut Conn) -> Result<Server> {
    let sql = sql!("session_facts");
    let row: Option<Row> = conn.query_first(sql).await.map_err(unreachable)?;
    let row = row.ok_or_else(|| Error::new(Kind::Unreachable, "the server does not say its version"))?;
    let text = |at| field_text(&row, at);
    let charsets = [text(1)?, text(2)?, text(3)?];
    if charsets.iter().any(|charset| charset != "utf8mb4") {
        let why = format!("the server does not take utf8mb4 on a connection (it says {})", charsets.join(", "));
        return Err(Error::new(Kind::Config, why));
    }
    let database = text(4)?;
    if database.is_empty() {
        return Err(Error::new(Kind::Config, "the URL names no database").hint("add it: mysql://user@host/database"));
    }
    let packet = text(5)?.parse().unwrap_or(1 << 20);
    Ok(Server { flavour: Flavour::parse(&text(0)?)?, database, packet })
}

/// One connection out of the pool. Dropped, it ends its transaction and goes back; dropped in the
/// middle of a statement, it is closed, and the server rolls back.
pub(super) struct Connection {
    conn: Option<Conn>,
    /// What `@twinrow_origin` is set to. It never leaves our own connections (B5).
    origin: Option<String>,
    pub(super) server: Server,
    pool: Arc<Pool>,
    permit: Option<OwnedSemaphorePermit>,
    /// A statement is under way, or ended with anything but an answer of the server.
    busy: bool,
    /// A transaction may be open.
    pub(super) open: bool,
}

/// What a statement did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) affected: u64,
    pub(super) warnings: u16,
}

impl Connection {
    fn new(conn: Conn, origin: Option<String>, server: Server, pool: &Arc<Pool>, permit: OwnedSemaphorePermit) -> Connection {
        let (pool, permit) = (Arc::clone(pool), Some(permit));
        Connection { conn: Some(conn), origin, server, pool, permit, busy: false, open: false }
    }

    fn conn(&mut self) -> Result<&mut Conn> {
        if self.busy {
            return Err(Error::new(Kind::Retry, "the connection was lost"));
        }
        self.busy = true;
        self.conn.as_mut().ok_or_else(|| Error::new(Kind::Internal, "a connection was given back twice"))
    }

    /// After an answer of the server the connection can be used again; after anything else it can't.
    fn settle<T>(&mut self, answer: std::result::Result<T, Driver>, convert: fn(Driver) -> Error) -> Result<T> {
        self.busy = !matches!(answer, Ok(_) | Err(Driver::Server(_)));
        if matches!(&answer, Err(Driver::Server(server)) if server.code == LOST_INDEX) {
            self.forget_indexes();
        }
        answer.map_err(|error| convert(error).context(format!("endpoint {}", self.pool.name)))
    }

    /// A statement as text, without parameters or result.
    pub(super) async fn run(&mut self, sql: &str) -> Result<()> {
        let answer = self.conn()?.query_drop(sql).await;
        self.settle(answer, classify)
    }

    /// A prepared statement's rows, by the binary protocol: values arrive as they are stored (D6).
    pub(super) async fn rows(&mut self, sql: &str, params: Vec<Wire>) -> Result<Vec<Row>> {
        let answer = self.conn()?.exec(sql, positional(params)).await;
        self.settle(answer, classify)
    }

    /// A statement that can't be prepared, as text.
    pub(super) async fn text_rows(&mut self, sql: &str) -> Result<Vec<Row>> {
        let answer = self.conn()?.query(sql).await;
        self.settle(answer, classify)
    }

    /// As [`Connection::rows`], handing out each row as it comes, so that memory stays bounded.
    pub(super) async fn each(&mut self, sql: &str, params: Vec<Wire>, mut row: impl FnMut(Row) + Send) -> Result<()> {
        let conn = self.conn()?;
        let answer = async {
            let mut result = conn.exec_iter(sql, positional(params)).await?;
            while let Some(next) = result.next().await? {
                row(next);
            }
            Ok(())
        };
        let answer = answer.await;
        self.settle(answer, classify)
    }

    /// A prepared statement that writes.
    pub(super) async fn write(&mut self, sql: &str, params: Vec<Wire>) -> Result<Done> {
        let conn = self.conn()?;
        let answer = match conn.exec_drop(sql, positional(params)).await {
            Ok(()) => Ok(Done { affected: conn.affected_rows(), warnings: conn.get_warnings() }),
            Err(error) => Err(error),
        };
        self.settle(answer, classify)
    }

    /// The codes of the last statement's warnings, notes aside.
    pub(super) async fn warnings(&mut self) -> Result<Vec<u16>> {
        let mut codes = Vec::new();
        for row in self.text_rows("show warnings").await? {
            if field_text(&row, 0)? != "Note" {
                codes.push(field_text(&row, 1)?.parse().unwrap_or(u16::MAX));
            }
        }
        Ok(codes)
    }

    /// Begins a transaction: `""`, or `with consistent snapshot, read only`.
    pub(super) async fn start(&mut self, how: &str) -> Result<()> {
        self.open = true;
        self.run(&format!("start transaction {how}")).await
    }

    pub(super) async fn commit(&mut self) -> Result<()> {
        let answer = self.conn()?.query_drop("commit").await;
        self.settle(answer, at_commit)?;
        self.open = false;
        Ok(())
    }

    pub(super) async fn rollback(&mut self) -> Result<()> {
        self.run("rollback").await?;
        self.open = false;
        Ok(())
    }

    /// Ends the session: it does not go back to the pool.
    pub(super) fn close(mut self) {
        self.busy = true;
    }

    /// Whether our triggers would write this down as who wrote.
    pub(super) fn is_ours(&self, origin: Option<&str>) -> bool {
        origin.is_some() && origin == self.origin.as_deref()
    }

    /// Tells our triggers who writes.
    pub(super) async fn set_origin(&mut self, integration: &str) -> Result<()> {
        if self.origin.as_deref() != Some(integration) {
            self.write("set @twinrow_origin = ?", vec![Wire::Bytes(integration.into())]).await?;
            self.origin = Some(integration.to_owned());
        }
        Ok(())
    }

    /// The index that holds a table's key, as a hint that forces it.
    ///
    /// Without it the optimizer reads a small table from one end to the other, and a statement that locks then waits
    /// for rows it has nothing to do with: for the application's, which are in no hurry to commit (rule 19).
    pub(super) async fn key_index(&mut self, table: &Table) -> Result<String> {
        let name = qualified(&table.name, &self.server.database);
        let known = |pool: &Pool| pool.key_indexes.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some(index) = known(&self.pool) {
            return Ok(index);
        }
        let index = key_index(self, table).await?;
        let hint = format!("force index ({})", quoted(&index));
        self.pool.key_indexes.lock().unwrap_or_else(PoisonError::into_inner).insert(name, hint.clone());
        Ok(hint)
    }

    pub(super) fn sees_numbers(&self) -> bool {
        self.pool.numbers.load(Ordering::Relaxed)
    }

    pub(super) fn sees_no_numbers(&self) {
        self.pool.numbers.store(false, Ordering::Relaxed);
    }

    /// Indexes may have other names now.
    pub(super) fn forget_indexes(&self) {
        self.pool.key_indexes.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Bytes of a text that goes into one statement by itself: what the server takes, less what stands around it.
    pub(super) fn text_max(&self) -> usize {
        self.server.packet.saturating_sub(1 << 14)
    }

    /// Bytes of JSON that go into one statement: half of what the server takes.
    pub(super) fn json_max(&self) -> usize {
        (self.server.packet / 2).clamp(1 << 16, 8 << 20)
    }
}

/// Back to the pool, by way of a rollback where a transaction is open: an abandoned snapshot would
/// keep the server from purging.
impl Drop for Connection {
    fn drop(&mut self) {
        let (Some(mut conn), Some(permit)) = (self.conn.take(), self.permit.take()) else { return };
        if self.busy {
            return;
        }
        let (pool, origin) = (Arc::clone(&self.pool), self.origin.take());
        let back = move |conn| pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push((conn, origin, Instant::now()));
        if !self.open {
            return back(conn);
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if conn.query_drop("rollback").await.is_ok() {
                    back(conn);
                }
                drop(permit);
            });
        }
    }
}

fn positional(params: Vec<Wire>) -> Params {
    if params.is_empty() { Params::Empty } else { Params::Positional(params) }
}

/// A field of a catalog's row that must be text.
pub(super) fn field_text(row: &Row, at: usize) -> Result<String> {
    Ok(field_optional(row, at)?.unwrap_or_default())
}

/// A field of a catalog's row: text or a number as text.
pub(super) fn field_optional(row: &Row, at: usize) -> Result<Option<String>> {
    match row.as_ref(at) {
        Some(Wire::NULL) => Ok(None),
        Some(Wire::Bytes(bytes)) => Ok(Some(String::from_utf8_lossy(bytes).into_owned())),
        Some(Wire::Int(value)) => Ok(Some(value.to_string())),
        Some(Wire::UInt(value)) => Ok(Some(value.to_string())),
        _ => Err(Error::new(Kind::Internal, "the server's catalog answered with an unexpected type")),
    }
}
