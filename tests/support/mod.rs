//! What the tests share: a database of its own for each test, with an application that uses it.

pub mod kinto;
pub mod mysql;
pub mod postgres;
pub mod sqlite;
pub mod tls;

use std::collections::BTreeSet;
use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use twinrow::endpoint::Endpoint;
use twinrow::model::TableName;

/// The rows of a query, every value as text.
pub type Rows = Vec<Vec<Option<String>>>;

/// A fresh database on a real server, and the application's own connections to it.
///
/// The application knows nothing of Twinrow: its connections are plain driver connections with their
/// drivers' defaults. A statement that fails makes the test fail, but for [`Lab::try_user`].
#[async_trait]
pub trait Lab: Send + Sync {
    /// Where an endpoint connects, as in a configuration.
    fn url(&self) -> String;

    /// A new endpoint object on this database, as a newly started process would make it.
    async fn endpoint(&self) -> Arc<dyn Endpoint>;

    /// How this engine spells what the suite needs.
    fn dialect(&self) -> &Dialect;

    /// The full name of the application's table `name`, as [`Endpoint::describe`] spells it.
    fn table(&self, name: &str) -> TableName;

    /// Runs one statement as the application, on its own connection, committed at once.
    async fn user(&self, sql: &str) {
        if let Err(cause) = self.try_user(sql).await {
            panic!("{sql}: {cause}");
        }
    }

    /// As [`Lab::user`], for statements that may fail.
    async fn try_user(&self, sql: &str) -> Result<(), String>;

    /// Runs a script of several statements, as a DBA with the engine's own client would.
    async fn script(&self, sql: &str);

    /// The rows of a query of the application's.
    async fn user_rows(&self, sql: &str) -> Rows;

    /// Begins a transaction on another connection of the application's.
    async fn open(&self) -> Box<dyn UserTransaction>;

    /// Runs `sql` as the application and returns all its connection can tell about it: the generated
    /// key, the number of rows.
    async fn noticed(&self, sql: &str) -> Vec<Option<String>>;

    /// Every object in the catalog, `kind name`, without the database's own.
    async fn catalog(&self) -> BTreeSet<String>;

    /// The definition of every object of Twinrow's own, in full, and the versions it recorded.
    async fn definitions(&self) -> BTreeSet<String>;

    /// The scripts by which earlier versions tracked the table `item`, oldest first. Called while that is tracked, for
    /// the names.
    async fn frozen(&self) -> Vec<String>;

    /// Does to the tracking of a table what must not stay unnoticed.
    async fn damage(&self, table: &str, damage: Damage);

    /// How many rows of a table were ever read, where a server counts it. No endpoint is left on this database: some servers
    /// count what a connection did when it ends.
    async fn rows_read(&self, _table: &str) -> Option<u64> {
        None
    }

    /// Drops the database.
    async fn close(&self);
}

/// An open transaction of the application's; dropped, it rolls back.
#[async_trait]
pub trait UserTransaction: Send {
    /// Runs one statement in it.
    async fn run(&mut self, sql: &str) {
        if let Err(cause) = self.try_run(sql).await {
            panic!("{sql}: {cause}");
        }
    }

    /// As [`UserTransaction::run`], for statements that may fail.
    async fn try_run(&mut self, sql: &str) -> Result<(), String>;

    /// The rows of a query in it.
    async fn try_rows(&mut self, sql: &str) -> Result<Rows, String>;

    /// Commits it.
    async fn commit(self: Box<Self>);
    /// Rolls it back.
    async fn rollback(self: Box<Self>);
}

/// What may happen to tracking objects behind our back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One of the triggers is dropped.
    TriggerDropped,
    /// A trigger of the same name does something else.
    TriggerAltered,
    /// The log is dropped and made again, empty (A11).
    LogRecreated,
    /// The log is dropped, the triggers are alive: a half-done removal (A69).
    LogDropped,
}

/// How an engine spells what the suite needs.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// The type and constraint of a key the engine numbers: `bigint auto_increment primary key`.
    pub generated_key: &'static str,
    /// A text type that may be a key.
    pub text: &'static str,
    /// The quote of identifiers; doubled inside.
    pub quote: char,
    /// Two transactions may write at the same time.
    pub concurrent_writers: bool,
    /// Ends an insert into `item (id, …, name, …)` so that an existing `id` gets the new name.
    pub upsert: &'static str,
    /// Begins an insert that deletes rows in its way.
    pub replace: Option<&'static str>,
    /// The statements that make an insert into `stamped (id text primary key, name text)` get the key
    /// `made-by-trigger-` and its name, where a trigger can do that before the row is stored.
    pub trigger_key: &'static [&'static str],
    /// What the names of Twinrow's own tables begin with.
    pub own: &'static str,
    /// The directory of the named statements.
    pub statements: &'static str,
}

impl Dialect {
    /// An identifier, quoted.
    pub fn quoted(&self, name: &str) -> String {
        let quote = self.quote;
        format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")))
    }
}

/// A test's body, for [`run`].
pub type Body = for<'a> fn(&'a dyn Lab) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs one test on its own database and drops that, whatever becomes of the test.
pub async fn run(test: &str, lab: Result<Arc<dyn Lab>, String>, body: Body) {
    let lab = match lab {
        Ok(lab) => lab,
        Err(reason) => return skip(test, &reason),
    };
    let inner = Arc::clone(&lab);
    let result = tokio::spawn(async move { body(&*inner).await }).await;
    lab.close().await;
    if let Err(failure) = result {
        std::panic::resume_unwind(failure.into_panic());
    }
}

/// Says that a test could not run, where the run's report collects it.
pub fn skip(test: &str, reason: &str) {
    let line = format!("{test}: {reason}\n");
    print!("skipped {line}");
    if let Some(file) = std::env::var_os("TWINROW_TEST_SKIPS") {
        let appended =
            std::fs::OpenOptions::new().create(true).append(true).open(file).and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(appended.is_ok(), "the list of skipped tests can't be written: {appended:?}");
    }
}
