//! The endpoint contract over a database in memory. Every call is a place where the scheduler may do
//! something else first, and where the process may die.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use twinrow::endpoint::{Acknowledge, Capabilities, Endpoint, Finding, Tracked, Tracking, Window, Write};
use twinrow::error::{Error, Kind, Result};
use twinrow::model::{Position, Table, TableName};
use twinrow::sql::{Cell, Cells, Fence, Session, Store, Transaction};

use crate::configuration::{described, named};
use crate::database::{Ours, Seen};
use crate::moment::{Moment, position, seen, waiting};
use crate::session;
use crate::world::{Shared, World, locked, name};
use crate::write::Open;

/// A yield point.
pub async fn pause() {
    let mut passed = false;
    std::future::poll_fn(
        |_| {
            if std::mem::replace(&mut passed, true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        },
    )
    .await
}

/// One database as one process sees it.
#[derive(Clone)]
pub struct Memory {
    pub world: Shared,
    pub at: usize,
    /// Whose it is.
    pub integration: usize,
    pub process: u64,
}

impl Memory {
    /// Something outside goes wrong, now and then.
    pub async fn call(&self) -> Result<()> {
        pause().await;
        let mut world = locked(&self.world);
        let share = world.options.fault;
        if !world.calm && world.chance.one_in(share) {
            return Err(Error::new(Kind::Unreachable, "connection refused"));
        }
        Ok(())
    }

    /// As [`Memory::call`], where rows of users' tables are read.
    pub async fn read(&self, table: usize) -> Result<()> {
        self.call().await?;
        let world = locked(&self.world);
        world.there(self.at, table)?;
        match world.denied {
            Some((at, false, _)) if at == self.at => Err(denied_here()),
            _ => Ok(()),
        }
    }

    /// Takes the fence row: waits for whoever has it, then checks the epoch.
    async fn open(&self, fence: &Fence) -> Result<Open> {
        self.call().await?;
        loop {
            {
                let mut world = locked(&self.world);
                if world.databases[self.at].ours.is_empty() {
                    return self.take(&mut world, fence);
                }
            }
            pause().await;
        }
    }

    fn take(&self, world: &mut World, fence: &Fence) -> Result<Open> {
        let id = world.id();
        let database = &mut world.databases[self.at];
        let mut own = database.own.clone();
        let set = [vec![Cell::Text(fence.integration.clone()), Cell::Int(fence.epoch)]];
        if session::run(&mut own, "fence_check", &set)?.affected != 1 {
            return Err(Error::new(Kind::Fenced, "another process has taken this integration over"));
        }
        database.xid += 1;
        let tx = Ours {
            locks: BTreeSet::new(),
            shares: BTreeSet::new(),
            looked_for: BTreeSet::new(),
            integration: self.integration,
            pending: Vec::new(),
            effects: Vec::new(),
            own,
            xid: database.xid,
            sent: false,
            orphan: false,
        };
        database.ours.insert(id, tx);
        Ok(Open { endpoint: self.clone(), id, ended: false })
    }
}

#[async_trait]
impl Endpoint for Memory {
    async fn capabilities(&self) -> Result<Capabilities> {
        Ok(Capabilities { transactions: true, deletes: true, version: "memory".into() })
    }

    async fn describe(&self, names: Option<&[TableName]>) -> Result<Vec<Table>> {
        let world = locked(&self.world);
        let tables = 0..world.databases[self.at].tables.len();
        let tables =
            tables.filter(|table| !world.is_halted(self.at, *table)).map(|table| described(self.at, table, &world.options));
        Ok(tables.filter(|table| names.is_none_or(|names| names.contains(&table.name))).collect())
    }

    async fn window(&self, collections: &[Tracked], limit: usize) -> Result<Box<dyn Window>> {
        self.call().await?;
        let mut world = locked(&self.world);
        for tracked in collections {
            world.there(self.at, table_of(&tracked.collection.table.name))?;
        }
        let limit = limit.min(world.options.limit);
        let mut moment = Moment::open(self.clone(), &world.databases[self.at], collections, limit)?;
        if moment.entries.len() % 4 == 3 {
            moment.room = world.options.room;
        }
        let (read, more) = (moment.entries.len(), moment.more);
        world.tell(|| format!("p{} window {} reads {read}{}", self.process, name(self.at), if more { " of more" } else { "" }));
        Ok(Box::new(moment))
    }

    async fn begin(&self, fence: &Fence) -> Result<Box<dyn Write>> {
        Ok(Box::new(self.open(fence).await?))
    }

    async fn acknowledge(&self, fence: &Fence, upto: &[Acknowledge]) -> Result<()> {
        let open = self.open(fence).await?;
        {
            let mut world = locked(&self.world);
            let database = &mut world.databases[self.at];
            // Two links on one table have a cursor each: the one that is behind counts.
            let mut least: BTreeMap<usize, Seen> = BTreeMap::new();
            for one in upto {
                let table = table_of(&one.table);
                let seen = seen(&one.position, database.tables[table].log)?;
                let before = *least.entry(table).or_insert(seen);
                if (seen.whole, seen.part, seen.lsn) < (before.whole, before.part, before.lsn) {
                    least.insert(table, seen);
                }
            }
            for (table, seen) in least {
                if let Some(before) = database.consumers.get_mut(&(table, named(self.integration))) {
                    *before = seen;
                }
            }
            database.prune();
        }
        Write::commit(Box::new(open)).await
    }

    async fn compact(&self, fence: &Fence, tables: &[Table]) -> Result<bool> {
        let open = self.open(fence).await?;
        let more = {
            let mut world = locked(&self.world);
            let world = &mut *world;
            for table in tables {
                world.shorten(self.at, table_of(&table.name));
            }
            world.chance.one_in(0.3)
        };
        Write::commit(Box::new(open)).await?;
        Ok(more)
    }

    async fn backlog(&self, collections: &[Tracked], _most: u64) -> Result<Vec<u64>> {
        self.call().await?;
        let world = locked(&self.world);
        let waiting = |tracked: &Tracked| match &tracked.since {
            Some(since) => waiting(&world.databases[self.at], &tracked.collection, since),
            None => Ok(0),
        };
        collections.iter().map(waiting).collect()
    }

    fn store(&self) -> Option<&dyn Store> {
        Some(self)
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        Some(self)
    }
}

#[async_trait]
impl Store for Memory {
    async fn begin(&self, fence: &Fence) -> Result<Box<dyn Transaction>> {
        Ok(Box::new(self.open(fence).await?))
    }

    async fn session(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.clone()))
    }
}

/// Outside a transaction: every statement on its own, seeing what is committed.
#[async_trait]
impl Session for Memory {
    async fn query(&mut self, name: &'static str, set: &[Cells]) -> Result<Vec<Cells>> {
        Ok(self.statement(name, set).await?.rows)
    }

    async fn execute(&mut self, name: &'static str, set: &[Cells]) -> Result<u64> {
        Ok(self.statement(name, set).await?.affected)
    }
}

impl Memory {
    async fn statement(&self, name: &'static str, set: &[Cells]) -> Result<session::Answer> {
        self.call().await?;
        // It waits for the row's lock, which every write transaction of ours holds.
        while name == "fence_take" && !locked(&self.world).databases[self.at].ours.is_empty() {
            pause().await;
        }
        let mut world = locked(&self.world);
        let database = &mut world.databases[self.at];
        // Rows that no transaction of ours touches: they see the change too, and keep it.
        if matches!(name, "lease_take" | "lease_beat" | "fence_insert" | "edge_write" | "brake_approve") {
            for tx in database.ours.values_mut() {
                session::run(&mut tx.own, name, set)?;
            }
        }
        session::run(&mut database.own, name, set)
    }
}

/// Every table has its log and its triggers; what is installed is who reads them.
#[async_trait]
impl Tracking for Memory {
    async fn script(&self, _tables: &[Table], _home: bool) -> Result<String> {
        Ok(String::new())
    }

    async fn upgrade(&self, _home: bool) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn install(&self, _tables: &[Table], _home: bool) -> Result<Vec<String>> {
        self.call().await?;
        Ok(Vec::new())
    }

    async fn inspect(&self, _tables: &[Table]) -> Result<Vec<Finding>> {
        self.call().await?;
        Ok(Vec::new())
    }

    async fn uninstall(&self, _integration: Option<&str>, _tables: &[TableName]) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn register(&self, integration: &str, tables: &[Table]) -> Result<Vec<Position>> {
        self.call().await?;
        let mut world = locked(&self.world);
        let database = &mut world.databases[self.at];
        let mut positions = Vec::new();
        for table in tables {
            let table = table_of(&table.name);
            let now = Seen { whole: database.commits, part: database.commits, lsn: 0 };
            database.consumers.entry((table, integration.to_owned())).or_insert(now);
            positions.push(position(database.tables[table].log, now));
        }
        Ok(positions)
    }

    async fn renew(&self, integration: &str, cursors: &[(Table, Position)]) -> Result<Vec<Option<Position>>> {
        let mut renewed = Vec::new();
        for (table, since) in cursors {
            let log = locked(&self.world).databases[self.at].tables[table_of(&table.name)].log;
            let good = seen(since, log).is_ok();
            renewed.push(if good { None } else { self.register(integration, std::slice::from_ref(table)).await?.pop() });
        }
        Ok(renewed)
    }
}

pub fn denied_here() -> Error {
    Error::new(Kind::Denied, "permission denied")
}

/// Tables are named `t0`, `t1`.
pub fn table_of(name: &TableName) -> usize {
    name.name.trim_start_matches('t').parse().unwrap_or(0)
}

/// The endpoints of an integration as a process sees them.
pub fn endpoints(world: &Shared, integration: usize, process: u64) -> Vec<Arc<dyn Endpoint>> {
    let ends = locked(world).options.ends_of(integration);
    ends.into_iter().map(|at| Arc::new(Memory { world: world.clone(), at, integration, process }) as Arc<dyn Endpoint>).collect()
}
