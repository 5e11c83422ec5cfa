//! SQLite: one file, one writer at a time, and an application that must not notice us.
//!
//! One writer means that the order of commits is the order of the log's numbers, so a cursor is a
//! number. It also means that every transaction of ours keeps the application from writing: all of
//! them are short (A71).

/// The text of a statement in `sql/sqlite` that only this engine has.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite/", $name, ".sql"))
    };
}

mod catalog;
mod compact;
mod consumer;
mod log;
mod reach;
mod rows;
mod session;
mod tracking;
mod value;
mod window;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;

pub use tracking::{Names, tracking_names};

use self::log::Log;
use self::session::{Pool, Reader, Writer};
use self::tracking::Inspected;
use super::super::{Acknowledge, Born, Capabilities, Endpoint, Tracked, Tracking, Whereabouts, Window, Write};
use super::compaction::Compaction;
use crate::error::{Context as _, Result};
use crate::model::{Table, TableName};
use crate::sql::{Fence, Session, Store, Transaction};

/// A SQLite database file.
pub struct Sqlite {
    name: String,
    pool: Arc<Pool>,
    /// The integration this object last wrote for: its entries are our own.
    writer: Mutex<Option<String>>,
    inspected: Mutex<Option<Inspected>>,
    compactions: Mutex<HashMap<TableName, Compaction>>,
}

impl Sqlite {
    /// The file, which exists. It is opened when it is needed. `name`: how the configuration calls this
    /// endpoint.
    pub fn open(path: impl Into<PathBuf>, name: &str) -> Sqlite {
        Sqlite::new(path.into(), name, false)
    }

    /// As [`Sqlite::open`], and the file is made if it does not exist: for a state of its own.
    pub fn create(path: impl Into<PathBuf>, name: &str) -> Sqlite {
        Sqlite::new(path.into(), name, true)
    }

    fn new(path: PathBuf, name: &str, create: bool) -> Sqlite {
        let pool = Arc::new(Pool::new(name, path, create));
        Sqlite {
            name: name.to_owned(),
            pool,
            writer: Mutex::new(None),
            inspected: Mutex::new(None),
            compactions: Mutex::default(),
        }
    }

    fn context(&self) -> String {
        format!("endpoint {}", self.name)
    }

    fn remember_writer(&self, fence: &Fence) {
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(fence.integration.clone());
    }

    fn compactions(&self) -> MutexGuard<'_, HashMap<TableName, Compaction>> {
        self.compactions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inspected(&self) -> Option<Inspected> {
        self.inspected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_inspected(&self, inspected: Option<Inspected>) {
        *self.inspected.lock().unwrap_or_else(PoisonError::into_inner) = inspected;
    }
}

#[async_trait]
impl Endpoint for Sqlite {
    async fn capabilities(&self) -> Result<Capabilities> {
        Ok(Capabilities { transactions: true, deletes: true, version: format!("SQLite {}", rusqlite::version()) })
    }

    async fn describe(&self, names: Option<&[TableName]>) -> Result<Vec<Table>> {
        let names = names.map(<[TableName]>::to_vec);
        let describe = move |connection: &Connection| catalog::describe(connection, names.as_deref());
        self.pool.connect().await?.read(describe).await.context(self.context())
    }

    async fn born(&self, tables: &[TableName]) -> Result<Vec<Vec<Born>>> {
        let tables = tables.to_vec();
        let born = move |connection: &Connection| catalog::born(connection, &tables);
        self.pool.connect().await?.read(born).await.context(self.context())
    }

    async fn window(&self, collections: &[Tracked], limit: usize) -> Result<Box<dyn Window>> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let window = window::open(&self.pool, collections, limit, writer).await;
        if window.is_err() {
            // A log may have been emptied, which changes no definition.
            self.set_inspected(None);
        }
        Ok(Box::new(window.context(self.context())?))
    }

    async fn begin(&self, fence: &Fence) -> Result<Box<dyn Write>> {
        self.remember_writer(fence);
        Ok(Box::new(write::begin(&self.pool, fence).await.context(self.context())?))
    }

    async fn acknowledge(&self, fence: &Fence, upto: &[Acknowledge]) -> Result<()> {
        let integration = fence.integration.clone();
        let upto = upto.to_vec();
        let mut writer = Writer::begin(&self.pool, fence).await.context(self.context())?;
        let first = move |connection: &Connection| {
            // Two links on one table have a cursor each: the one that is behind counts.
            let mut least: BTreeMap<TableName, i64> = BTreeMap::new();
            for one in upto {
                let seq = Log::of(connection, &one.table)?.place(&one.table, &one.position)?;
                least.entry(one.table).and_modify(|least| *least = seq.min(*least)).or_insert(seq);
            }
            let more = |(table, seq): (TableName, i64)| {
                consumer::acknowledge(connection, &integration, &table, seq).map(|more| more.then_some(table))
            };
            least.into_iter().filter_map(|one| more(one).transpose()).collect::<Result<Vec<TableName>>>()
        };
        let mut left = writer.run(first).await.context(self.context())?;
        writer.commit().await?;
        // Bite by bite: in between, the application gets its turn.
        while let Some(table) = left.pop() {
            let mut writer = Writer::begin(&self.pool, fence).await.context(self.context())?;
            let again = table.clone();
            if writer.run(move |connection| consumer::prune(connection, &table)).await? {
                left.push(again);
            }
            writer.commit().await?;
        }
        Ok(())
    }

    async fn compact(&self, fence: &Fence, tables: &[Table]) -> Result<bool> {
        let mut any = false;
        for table in tables {
            let compaction = self.compactions().remove(&table.name).unwrap_or_default();
            let looked = table.clone();
            let look = move |connection: &Connection| compact::look(connection, &looked, compaction);
            let found = self.pool.connect().await?.read(look).await.context(self.context())?;
            if !found.repeated.is_empty() {
                let (removed, seqs) = (table.clone(), found.repeated);
                let mut writer = Writer::begin(&self.pool, fence).await.context(self.context())?;
                writer.run(move |connection| compact::remove(connection, &removed, &seqs)).await.context(self.context())?;
                writer.commit().await?;
            }
            any |= found.more;
            self.compactions().insert(table.name.clone(), found.compaction);
        }
        Ok(any)
    }

    async fn backlog(&self, collections: &[Tracked], most: u64) -> Result<Vec<u64>> {
        let lease = self.pool.connect().await?;
        let mut all = Vec::with_capacity(collections.len());
        for tracked in collections {
            let (mut from, mut total, mut more) = (None, 0, true);
            while more && total <= most {
                let one = tracked.clone();
                let (last, count, again) =
                    lease.read(move |connection| compact::count(connection, &one, from)).await.context(self.context())?;
                (from, total, more) = (Some(last), total + count.unsigned_abs(), again);
            }
            all.push(total);
        }
        Ok(all)
    }

    async fn whereabouts(&self) -> Result<Option<Whereabouts>> {
        Ok(self.pool.file().map(|sign| Whereabouts { sign, schema: String::new(), _shown: None }))
    }

    async fn leads_to(&self, sign: &str) -> Result<bool> {
        Ok(self.pool.file().is_some_and(|file| file == sign))
    }

    fn store(&self) -> Option<&dyn Store> {
        Some(self)
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        Some(self)
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn begin(&self, fence: &Fence) -> Result<Box<dyn Transaction>> {
        self.remember_writer(fence);
        Ok(Box::new(Writer::begin(&self.pool, fence).await.context(self.context())?))
    }

    async fn session(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(Reader(self.pool.connect().await.context(self.context())?)))
    }
}
