//! PostgreSQL, 13 and newer.
//!
//! A change log per tracked table without a sequence; the cursor is a snapshot: exact, never behind an
//! open transaction, with as many consumers as there are. `catalog` reads what is there, `tracking`
//! installs what is ours, `window` reads logs and rows of one moment, `write` writes under the fence.

mod advisory;
mod ahead;
mod catalog;
mod compact;
mod error;
mod find;
mod insert;
mod install;
mod log;
mod named;
mod open;
mod parts;
mod position;
mod reach;
mod removable;
mod returned;
mod rights;
mod rows;
mod session;
mod tls;
mod tracking;
mod value;
mod window;
mod write;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio_postgres::types::ToSql;

use self::catalog::Described;
use self::position::Cursor;
use self::session::{Conn, Server};
use crate::endpoint::{
    Acknowledge, Born, Capabilities, Endpoint, OpenTransactions, Tracked, Tracking, Whereabouts, Window, Write,
};
use crate::error::{Context, Result};
use crate::model::{KeySource, Table, TableName};
use crate::sql::{Fence, Session, Store, Transaction};

/// Read entries are removed this often, not at every acknowledgement: a quick poll stays quick.
const PRUNE_EVERY: Duration = Duration::from_secs(5);
/// At most this many at once.
const PRUNE_MAX: i64 = 10_000;

/// What the signs of such endpoints begin with; a number follows.
const SIGN: &str = "advisory ";

/// A PostgreSQL database as an endpoint.
pub struct Postgres {
    name: String,
    shared: Arc<Shared>,
}

/// What windows and transactions of one endpoint have in common.
struct Shared {
    server: Server,
    /// What this process has learned of the database, and may forget.
    learned: Mutex<Learned>,
}

#[derive(Default)]
struct Learned {
    /// The integrations this process works for: their entries are our own.
    ours: HashSet<String>,
    /// Facts for inserting.
    described: HashMap<TableName, Arc<Described>>,
    /// Tables whose triggers give rows other keys than were sent.
    assigning: HashSet<TableName>,
    /// Tables whose rows may change again after the statement that wrote them.
    changing: HashSet<TableName>,
    /// When each log was last pruned to its end.
    pruned: HashMap<TableName, Instant>,
    compactions: compact::Compactions,
    /// Long logs on their way.
    backlogs: parts::Backlogs,
}

impl Shared {
    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ours(&self, integration: &str) {
        let mut learned = self.learned();
        if !learned.ours.contains(integration) {
            learned.ours.insert(integration.to_owned());
        }
    }

    fn described(&self, name: &TableName) -> Option<Arc<Described>> {
        self.learned().described.get(name).cloned()
    }

    fn learn(&self, described: Described) -> Arc<Described> {
        let described = Arc::new(described);
        self.learned().described.insert(described.table.name.clone(), Arc::clone(&described));
        described
    }

    fn forget(&self, name: &TableName) {
        self.learned().described.remove(name);
    }

    fn forget_all(&self) {
        *self.learned() = Learned::default();
    }

    fn assigns_keys(&self, name: &TableName) {
        self.learned().assigning.insert(name.clone());
    }

    fn changes_rows_again(&self, name: &TableName) {
        self.learned().changing.insert(name.clone());
    }

    /// Whether rows of this table were seen to be at the mercy of triggers, so that what a statement returns of them is of no
    /// use. That none were seen is no proof that there are none now.
    fn changes_again(&self, name: &TableName) -> bool {
        self.learned().changing.contains(name)
    }

    fn is_assigning(&self, table: &Table) -> bool {
        table.key_source == KeySource::Trigger || self.learned().assigning.contains(&table.name)
    }

    fn prune_is_due(&self, name: &TableName) -> bool {
        self.learned().pruned.get(name).is_none_or(|last| last.elapsed() >= PRUNE_EVERY)
    }

    fn pruned(&self, name: &TableName) {
        self.learned().pruned.insert(name.clone(), Instant::now());
    }
}

impl Postgres {
    /// The database at `url` (`postgres://user:password@host:5432/database`), called `name` in messages.
    /// Connects when it is first asked something.
    ///
    /// Parameters of the URL besides PostgreSQL's own: `sslmode` (`disable`, `prefer`, `require`,
    /// `verify-ca`, `verify-full`), `sslrootcert` (a file of certificate authorities) and `connections`
    /// (the most that are open at once).
    ///
    /// # Errors
    /// [`Kind::Config`](crate::error::Kind) if the URL can't be used.
    pub fn open(url: &str, name: &str) -> Result<Postgres> {
        let server = Server::new(url, name).context(format!("endpoint {name}"))?;
        Ok(Postgres { name: name.to_owned(), shared: Arc::new(Shared { server, learned: Mutex::default() }) })
    }

    fn named(&self) -> String {
        format!("endpoint {}", self.name)
    }

    async fn connect(&self) -> Result<Conn> {
        self.shared.server.connect().await.context(self.named())
    }

    async fn begin_fenced(&self, fence: &Fence) -> Result<Conn> {
        self.shared.is_ours(&fence.integration);
        let conn = self.connect().await?;
        write::begin(conn, fence).await.context(self.named())
    }

    /// Removes what every consumer of these logs has read.
    async fn prune(&self, conn: &mut Conn, tables: &[&TableName]) -> Result<Vec<TableName>> {
        let mut done = Vec::new();
        for table in tables.iter().copied().filter(|table| self.shared.prune_is_due(table)) {
            let log = log::log_name(table);
            // What every consumer's snapshot saw is read, also behind a transaction that stays open (A3). And what is
            // committed of moves was called off, by a trigger of the application's: it is over.
            let sql = format!(
                "with seen as (select pg_catalog.split_part(position, ' ', 4)::pg_snapshot as snapshot from twinrow.consumer where name = $1::text), \
                 moved as (delete from twinrow.move where log = $3::text), \
                 gone as (delete from twinrow.{log} where ctid = any(array(select l.ctid from twinrow.{log} l \
                 where l.xid < (select min(pg_catalog.pg_snapshot_xmax(snapshot)::text::int8) from seen)::text::xid8 \
                 and not exists (select from seen where not pg_catalog.pg_visible_in_snapshot(l.xid, snapshot)) limit $2::int8)) returning 1) \
                 select count(*) from gone"
            );
            let rows = conn.query(&sql, &[&log::collection_name(table), &PRUNE_MAX, &log]).await?;
            if rows.first().is_some_and(|row| row.get::<_, i64>(0) < PRUNE_MAX) {
                done.push(table.clone());
            }
        }
        Ok(done)
    }
}

/// Two links on one table have a cursor each, and are one consumer: the one that is behind counts.
fn by_table(upto: &[Acknowledge]) -> Result<BTreeMap<&TableName, Cursor>> {
    let mut all: BTreeMap<&TableName, Cursor> = BTreeMap::new();
    for done in upto {
        let cursor = Cursor::parse(&done.position)?;
        let behind = match all.remove(&done.table) {
            Some(other) if other.age() <= cursor.age() => other,
            _ => cursor,
        };
        all.insert(&done.table, behind);
    }
    Ok(all)
}

#[async_trait]
impl Endpoint for Postgres {
    async fn capabilities(&self) -> Result<Capabilities> {
        let facts = self.shared.server.facts().await.context(self.named())?;
        Ok(Capabilities { transactions: true, deletes: true, version: format!("PostgreSQL {}", facts.version_text) })
    }

    async fn describe(&self, names: Option<&[TableName]>) -> Result<Vec<Table>> {
        let mut conn = self.connect().await?;
        let described = catalog::describe(&mut conn, names).await.context(self.named())?;
        Ok(described.into_iter().map(|one| one.table).collect())
    }

    async fn born(&self, tables: &[TableName]) -> Result<Vec<Vec<Born>>> {
        let mut conn = self.connect().await?;
        catalog::born(&mut conn, tables).await.context(self.named())
    }

    async fn window(&self, collections: &[Tracked], limit: usize) -> Result<Box<dyn Window>> {
        let conn = self.connect().await?;
        let facts = self.shared.server.facts().await?;
        let ours = self.shared.learned().ours.clone();
        let window = window::open(conn, &self.shared, &facts, collections, limit, |origin| ours.contains(origin))
            .await
            .context(self.named())?;
        Ok(Box::new(window))
    }

    async fn begin(&self, fence: &Fence) -> Result<Box<dyn Write>> {
        let conn = self.begin_fenced(fence).await?;
        Ok(Box::new(write::PgWrite::new(conn, Arc::clone(&self.shared))))
    }

    async fn acknowledge(&self, fence: &Fence, upto: &[Acknowledge]) -> Result<()> {
        if upto.is_empty() {
            return Ok(());
        }
        let upto = by_table(upto)?;
        let mut conn = self.begin_fenced(fence).await?;
        let names: Vec<String> = upto.keys().map(|table| log::collection_name(table)).collect();
        let positions: Vec<String> = upto.values().map(|cursor| cursor.position().0).collect();
        let params: [&(dyn ToSql + Sync); 3] = [&fence.integration, &names, &positions];
        conn.query(include_str!("../../../../sql/postgres/consumer_write.sql"), &params).await.context(self.named())?;
        let pruned = self.prune(&mut conn, &upto.into_keys().collect::<Vec<_>>()).await.context(self.named())?;
        conn.commit().await.context(self.named())?;
        pruned.iter().for_each(|table| self.shared.pruned(table));
        Ok(())
    }

    async fn compact(&self, fence: &Fence, tables: &[Table]) -> Result<bool> {
        let mut any = false;
        for table in tables {
            let state = self.shared.learned().compactions.get(&table.name).copied().unwrap_or_default();
            let mut conn = self.begin_fenced(fence).await?;
            let (state, more) = compact::step(&mut conn, table, state).await.context(self.named())?;
            conn.commit().await.context(self.named())?;
            self.shared.learned().compactions.insert(table.name.clone(), state);
            any |= more;
        }
        Ok(any)
    }

    async fn backlog(&self, collections: &[Tracked], most: u64) -> Result<Vec<u64>> {
        let mut conn = self.connect().await?;
        let mut all = Vec::with_capacity(collections.len());
        for tracked in collections {
            all.push(compact::backlog(&mut conn, tracked, most).await.context(self.named())?);
        }
        Ok(all)
    }

    async fn open_transactions(&self, tables: &[Table]) -> Result<OpenTransactions> {
        open::transactions(&mut self.connect().await?, tables).await.context(self.named())
    }

    async fn whereabouts(&self) -> Result<Option<Whereabouts>> {
        let number = uuid::Uuid::new_v4().as_u64_pair().0.cast_signed();
        let held = advisory::hold(&self.shared.server, number).await.context(self.named())?;
        let place = |held| Whereabouts { sign: format!("{SIGN}{number}"), schema: String::new(), _shown: Some(Box::new(held)) };
        Ok(held.map(place))
    }

    async fn leads_to(&self, sign: &str) -> Result<bool> {
        let Some(number) = sign.strip_prefix(SIGN).and_then(|number| number.parse().ok()) else { return Ok(false) };
        advisory::is_held(&self.shared.server, number).await.context(self.named())
    }

    fn store(&self) -> Option<&dyn Store> {
        Some(self)
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        Some(self)
    }
}

#[async_trait]
impl Store for Postgres {
    async fn begin(&self, fence: &Fence) -> Result<Box<dyn Transaction>> {
        Ok(Box::new(self.begin_fenced(fence).await?))
    }

    async fn session(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.connect().await?))
    }
}
