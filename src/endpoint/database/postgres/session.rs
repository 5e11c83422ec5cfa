//! Connections: how they are made, what is set on them, and what becomes of them.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use futures_util::TryStreamExt as _;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row, Statement};

use super::error::{Phase, convert, is_lost, is_stale_plan};
use super::tls;
use crate::endpoint::Room;
use crate::endpoint::database::stranger;
use crate::error::{Error, Kind, Result};
use crate::sql::Transaction;

/// Connections of one endpoint: a window, a write transaction, and what the state reads beside them.
const CONNECTIONS_MAX: usize = 8;
/// How long a connection may take.
const CONNECT_SECONDS: u64 = 10;
/// How long to wait for one of the pool: longer than any of our transactions may last.
const WAIT_SECONDS: u64 = 150;
/// The oldest server with what capture needs: `xid8`, `with ties`.
const VERSION_MIN: i64 = 130_000;

/// Which server a connection leads to; it can't change under an open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// `180006`.
    pub(super) version: i64,
    /// `18.6 (Debian …)`.
    pub(super) version_text: String,
    /// The cluster's own number, the same in physical clones only.
    pub(super) system: String,
    /// Changes when a standby takes over.
    pub(super) timeline: String,
}

/// Where the connections come from.
#[derive(Debug)]
pub(super) struct Server {
    /// What the endpoint is called in errors.
    name: Arc<str>,
    pool: Pool,
    facts: Arc<Mutex<Option<Facts>>>,
    /// Where it is, unless there are several or it is a socket.
    address: Option<(String, u16)>,
    /// What lets this login into its database.
    connect: String,
}

impl Server {
    /// From a URL with PostgreSQL's own parameters, and `sslmode`, `sslrootcert` and `connections`.
    pub(super) fn new(url: &str, name: &str) -> Result<Server> {
        let (config, mode, ca, connections) = parse(url)?;
        let address = address(&config);
        let (user, database) = (config.get_user().unwrap_or("this login"), config.get_dbname().or(config.get_user()));
        let connect = format!("grant connect on database {} to {user}", database.unwrap_or("it"));
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match mode {
            tls::Mode::Disable => Manager::from_config(config, NoTls, manager_config),
            _ => Manager::from_config(config, tls::connector(mode, ca.as_deref())?, manager_config),
        };
        let seconds = |n| Some(Duration::from_secs(n));
        let facts: Arc<Mutex<Option<Facts>>> = Arc::default();
        let learned = Arc::clone(&facts);
        let pool = Pool::builder(manager)
            .max_size(connections)
            .timeouts(Timeouts { wait: seconds(WAIT_SECONDS), create: seconds(CONNECT_SECONDS), recycle: None })
            .post_create(Hook::async_fn(move |client, _| {
                let learned = Arc::clone(&learned);
                Box::pin(async move { prepare(client, &learned).await })
            }))
            // The connection given back last is taken first: its statements are prepared and planned.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::new(Kind::Internal, "the connection pool can't be built").source(error))?;
        Ok(Server { name: name.into(), pool, facts, address, connect })
    }

    /// A connection, outside any transaction.
    pub(super) async fn connect(&self) -> Result<Conn> {
        match self.pool.get().await {
            Ok(object) => Ok(Conn { name: Arc::clone(&self.name), object: Some(object), state: State::Idle }),
            Err(PoolError::Backend(error)) => Err(self.refused(error).await),
            Err(PoolError::Timeout(_)) => {
                Err(Error::new(Kind::Unreachable, "no connection within the time allowed").hint("twinrow check"))
            }
            Err(PoolError::PostCreateHook(HookError::Backend(error))) => Err(convert(error, Phase::Connect)),
            Err(PoolError::PostCreateHook(HookError::Message(why))) => {
                Err(Error::new(Kind::Unreachable, why).hint("change that on the server or in the URL, then: twinrow check"))
            }
            Err(error) => Err(Error::new(Kind::Unreachable, "the connection pool is closed").source(error)),
        }
    }

    /// The error of a connection that could not be made: if it was PostgreSQL that refused it, in its own words.
    async fn refused(&self, error: tokio_postgres::Error) -> Error {
        match &self.address {
            Some((host, port)) if error.as_db_error().is_none() && stranger::is_mysql(host, *port).await => {
                stranger::another_kind(&format!("{host}:{port}"), "MySQL or MariaDB", "mysql")
            }
            _ if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                convert(error, Phase::Connect).hint(format!("{} (docs/grants.md), then: twinrow check", self.connect))
            }
            _ => convert(error, Phase::Connect),
        }
    }

    /// Which server it is; connects if no connection was made yet.
    pub(super) async fn facts(&self) -> Result<Facts> {
        let known = || self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known().is_none() {
            drop(self.connect().await?);
        }
        known().ok_or_else(|| Error::new(Kind::Internal, "a connection told nothing about its server"))
    }
}

fn address(config: &tokio_postgres::Config) -> Option<(String, u16)> {
    match (config.get_hosts(), config.get_ports()) {
        ([Host::Tcp(host)], []) => Some((host.clone(), 5432)),
        ([Host::Tcp(host)], [port]) => Some((host.clone(), *port)),
        _ => None,
    }
}

fn parse(url: &str) -> Result<(tokio_postgres::Config, tls::Mode, Option<String>, usize)> {
    let wrong = |why: String| {
        Error::new(Kind::Config, format!("the URL can't be used: {why}")).hint("postgres://user:password@host:5432/database")
    };
    let mut parsed = url::Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    let (mut mode, mut ca, mut connections) = (tls::Mode::default(), None, CONNECTIONS_MAX);
    let mut rest = Vec::new();
    for (name, value) in parsed.query_pairs() {
        match &*name {
            "sslmode" => mode = tls::Mode::parse(&value)?,
            "sslrootcert" => ca = Some(value.into_owned()),
            "connections" => {
                connections =
                    value.parse().ok().filter(|n| *n >= 4).ok_or_else(|| wrong("connections must be 4 or more".into()))?;
            }
            _ => rest.push((name.into_owned(), value.into_owned())),
        }
    }
    parsed.query_pairs_mut().clear().extend_pairs(rest);
    if parsed.query() == Some("") {
        parsed.set_query(None);
    }
    let mut config = tokio_postgres::Config::from_str(parsed.as_str()).map_err(|error| wrong(error.to_string()))?;
    config.ssl_mode(mode.negotiated());
    if config.get_application_name().is_none() {
        config.application_name("twinrow");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(CONNECT_SECONDS));
    }
    Ok((config, mode, ca, connections))
}

/// Settings and checks of a new connection.
async fn prepare(
    client: &deadpool_postgres::ClientWrapper,
    learned: &Mutex<Option<Facts>>,
) -> std::result::Result<(), HookError> {
    let begin = client.simple_query(include_str!("../../../../sql/postgres/session_begin.sql"));
    let facts = client.query_one(include_str!("../../../../sql/postgres/session_facts.sql"), &[]);
    let (begin, row) = tokio::join!(biased; begin, facts);
    begin.map_err(HookError::Backend)?;
    let row = row.map_err(HookError::Backend)?;
    let refuse = |why: String| Err(HookError::message(why));
    let version: i64 = row.get(0);
    if version < VERSION_MIN {
        return refuse(format!("PostgreSQL {} is too old: 13 or newer is needed", row.get::<_, String>(1)));
    }
    if row.get(2) {
        return refuse("this server is a standby, where nothing can be written or captured: connect to the primary".into());
    }
    if row.get::<_, &str>(3) != "origin" {
        return refuse("this user's session_replication_role is not origin: foreign keys and triggers would be skipped".into());
    }
    // The latest connection's server counts: after a fail-over positions of the old one are refused (A65).
    let facts = Facts { version, version_text: row.get(1), system: row.get(4), timeline: row.get(5) };
    *learned.lock().unwrap_or_else(PoisonError::into_inner) = Some(facts);
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Open,
    /// A statement failed: only a rollback is possible.
    Failed,
    /// The connection is gone: it must not go back to the pool, which may not know yet.
    Lost,
}

/// One connection, perhaps in a transaction.
pub(super) struct Conn {
    name: Arc<str>,
    object: Option<Object>,
    state: State,
}

/// A future of one request's rows; see [`in_order`].
pub(super) type Request<'a> = Pin<Box<dyn Future<Output = std::result::Result<Vec<Row>, tokio_postgres::Error>> + Send + 'a>>;

impl Conn {
    pub(super) fn object(&self) -> Result<&Object> {
        self.object.as_ref().ok_or_else(|| Error::new(Kind::Internal, "the connection was given back already"))
    }

    /// The statement, prepared once per connection.
    pub(super) async fn prepare(&mut self, sql: &str) -> Result<Statement> {
        let prepared = self.object()?.prepare_cached(sql).await;
        self.check(prepared)
    }

    /// A request for rows, sent at its first poll.
    pub(super) fn request<'a>(&'a self, statement: &'a Statement, params: &'a [&'a (dyn ToSql + Sync)]) -> Result<Request<'a>> {
        let object = self.object()?;
        Ok(Box::pin(async move { object.query(statement, params).await }))
    }

    /// As [`Conn::request`]; rows for which there is no room any more are let go as they come.
    pub(super) fn request_within<'a>(
        &'a self,
        statement: &'a Statement,
        params: &'a [&'a (dyn ToSql + Sync)],
        room: &'a mut Room,
    ) -> Result<Request<'a>> {
        let object = self.object()?;
        Ok(Box::pin(async move {
            let mut stream = std::pin::pin!(object.query_raw(statement, params.iter().copied()).await?);
            let mut rows = Vec::new();
            while let Some(row) = stream.try_next().await? {
                if room.takes(row.raw_size_bytes()) {
                    rows.push(row);
                }
            }
            Ok(rows)
        }))
    }

    /// A request without parameters or rows, sent at its first poll.
    pub(super) fn command<'a>(&'a self, sql: &'a str) -> Result<Request<'a>> {
        let object = self.object()?;
        Ok(Box::pin(async move { object.batch_execute(sql).await.map(|()| Vec::new()) }))
    }

    /// Sends the commands that begin a transaction and its first statement in one round trip; what
    /// each answered.
    pub(super) async fn begin_with(
        &self,
        begin: &str,
        statement: &Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<(std::result::Result<(), tokio_postgres::Error>, std::result::Result<u64, tokio_postgres::Error>)> {
        let object = self.object()?;
        Ok(tokio::join!(biased; object.batch_execute(begin), object.execute(statement, params)))
    }

    /// Classifies an error and remembers that the transaction is lost.
    pub(super) fn check<T>(&mut self, result: std::result::Result<T, tokio_postgres::Error>) -> Result<T> {
        result.map_err(|error| {
            if is_lost(&error) {
                self.state = State::Lost;
            } else if self.state == State::Open {
                self.state = State::Failed;
            }
            if is_stale_plan(&error) {
                if let Some(object) = &self.object {
                    object.statement_cache.clear();
                }
                return Error::new(Kind::Retry, "a table was changed while a statement on it was prepared").source(error);
            }
            self.named(error, Phase::Statement)
        })
    }

    fn named(&self, error: tokio_postgres::Error, phase: Phase) -> Error {
        convert(error, phase).context(format!("endpoint {}", self.name))
    }

    /// Runs one statement.
    pub(super) async fn query(&mut self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let statement = self.prepare(sql).await?;
        let rows = self.object()?.query(&statement, params).await;
        self.check(rows)
    }

    /// Runs statements without parameters.
    pub(super) async fn batch(&mut self, sql: &str) -> Result<()> {
        let done = self.object()?.batch_execute(sql).await;
        self.check(done)
    }

    /// From now on in a transaction: whoever sends `begin` says so before it can fail.
    pub(super) fn opened(&mut self) {
        self.state = State::Open;
    }

    /// Ends the transaction. After an error there is nothing to commit.
    pub(super) async fn commit(mut self) -> Result<()> {
        if self.state == State::Failed {
            self.rollback_now().await?;
            return Err(Error::new(Kind::Internal, "COMMIT after an error: nothing was written"));
        }
        let done = self.object()?.batch_execute("commit").await;
        self.ended(&done);
        done.map_err(|error| self.named(error, Phase::Commit))
    }

    /// Undoes the transaction.
    pub(super) async fn rollback_now(&mut self) -> Result<()> {
        let done = self.object()?.batch_execute("rollback").await;
        self.ended(&done);
        done.map_err(|error| self.named(error, Phase::Statement))
    }

    /// Whatever was answered, the transaction is over, or the connection is.
    fn ended(&mut self, done: &std::result::Result<(), tokio_postgres::Error>) {
        let lost = done.as_ref().is_err_and(is_lost);
        self.state = if lost { State::Lost } else { State::Idle };
    }
}

impl Drop for Conn {
    /// A connection goes back to the pool only outside a transaction.
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        match (self.state, tokio::runtime::Handle::try_current()) {
            (State::Idle, _) => {}
            (State::Open | State::Failed, Ok(runtime)) => {
                runtime.spawn(async move {
                    if object.batch_execute("rollback").await.is_err() {
                        drop(Object::take(object));
                    }
                });
            }
            (State::Lost, _) | (_, Err(_)) => drop(Object::take(object)),
        }
    }
}

/// Polls requests in their order. The driver sends a request at its first poll, so they leave in this
/// order and share one round trip; the server executes them in this order too.
pub(super) async fn in_order(mut requests: Vec<Request<'_>>) -> Vec<std::result::Result<Vec<Row>, tokio_postgres::Error>> {
    let mut answers: Vec<Option<_>> = requests.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (request, answer) in requests.iter_mut().zip(&mut answers) {
            if answer.is_none() {
                match request.as_mut().poll(context) {
                    Poll::Ready(rows) => *answer = Some(rows),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    answers.into_iter().flatten().collect()
}

#[async_trait]
impl Transaction for Conn {
    async fn commit(self: Box<Self>) -> Result<()> {
        Conn::commit(*self).await
    }

    async fn rollback(mut self: Box<Self>) -> Result<()> {
        self.rollback_now().await
    }
}
