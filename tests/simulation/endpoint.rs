//! The endpoint contract over a database in memory. Every call is a place where the scheduler may do
//! something else first, and where the process may die.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use twinrow::endpoint::{
    Acknowledge, CANDIDATES_MAX, Capabilities, Change, Create, Endpoint, Fetched, Outcome, ReadReceipt, Tracked, Tracking,
    Unread, Window, Write,
};
use twinrow::error::{Error, Kind, Result};
use twinrow::model::{Collection, Entry, Key, KeyBytes, Normal, Op, Pos, Position, Row, Table, TableName, Value};
use twinrow::sql::{Cell, Cells, Fence, Session, Store, Transaction};

use crate::database::{Database, Did, ENTITY, KEY, Logged, Ours, PARENT, Pending, X};
use crate::session;
use crate::users::Effect;
use crate::world::{Shared, Trouble, World, locked, name};

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
    pub process: u64,
}

impl Memory {
    /// Something outside goes wrong, now and then.
    async fn call(&self) -> Result<()> {
        pause().await;
        let mut world = locked(&self.world);
        let share = world.options.fault;
        if !world.calm && world.chance.one_in(share) {
            return Err(Error::new(Kind::Unreachable, "connection refused"));
        }
        Ok(())
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

    async fn describe(&self, _names: Option<&[TableName]>) -> Result<Vec<Table>> {
        Ok(Vec::new())
    }

    async fn window(&self, collections: &[Tracked], limit: usize) -> Result<Box<dyn Window>> {
        self.call().await?;
        let mut world = locked(&self.world);
        let limit = limit.min(world.options.limit);
        let moment = Moment::open(self.clone(), &mut world.databases[self.at], collections, limit)?;
        let (read, more) = (moment.entries.len(), moment.more);
        world.tell(|| format!("p{} window {} reads {read}{}", self.process, name(self.at), if more { " of more" } else { "" }));
        Ok(Box::new(moment))
    }

    async fn begin(&self, fence: &Fence) -> Result<Box<dyn Write>> {
        Ok(Box::new(self.open(fence).await?))
    }

    async fn acknowledge(&self, fence: &Fence, upto: &[Acknowledge]) -> Result<()> {
        let open = self.open(fence).await?;
        let places: Vec<(usize, Seen)> =
            upto.iter().map(|one| Ok((table_of(&one.table), Seen::read(&one.position)?))).collect::<Result<_>>()?;
        {
            let mut world = locked(&self.world);
            let database = &mut world.databases[self.at];
            let read = |entry: &Logged| places.iter().any(|(table, seen)| *table == entry.table && seen.covers(entry));
            let (pruned, log) = database.log.drain(..).partition(read);
            database.log = log;
            let pruned: Vec<Logged> = pruned;
            database.pruned.extend(pruned);
        }
        Write::commit(Box::new(open)).await
    }

    fn store(&self) -> Option<&dyn Store> {
        Some(self)
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        None
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
        if matches!(name, "lease_take" | "fence_insert" | "brake_approve") {
            for tx in database.ours.values_mut() {
                session::run(&mut tx.own, name, set)?;
            }
        }
        session::run(&mut database.own, name, set)
    }
}

/// How far a log was read: every entry of the commits up to `whole`; of those up to `part`, the
/// entries up to `lsn`. As PostgreSQL's `pg_snapshot` with an lsn inside the next one.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    whole: i64,
    part: i64,
    lsn: i64,
}

impl Seen {
    fn read(position: &Position) -> Result<Seen> {
        let parts: Vec<i64> = position.0.split(':').filter_map(|part| part.parse().ok()).collect();
        match parts.as_slice() {
            [whole, part, lsn] => Ok(Seen { whole: *whole, part: *part, lsn: *lsn }),
            _ => Err(Error::new(Kind::Tracking, "the log is not the one the position was taken on")),
        }
    }

    fn covers(&self, entry: &Logged) -> bool {
        entry.commit <= self.whole || (entry.commit <= self.part && entry.lsn <= self.lsn)
    }
}

/// One moment of a database.
struct Moment {
    endpoint: Memory,
    tables: Vec<(usize, BTreeMap<i64, Row>)>,
    entries: Vec<Entry>,
    more: bool,
    positions: Vec<Position>,
    /// Per collection: keys that unread entries move, and those they insert.
    unread: Vec<[HashSet<KeyBytes>; 2]>,
    /// Collections that were emptied, as the unread log says.
    unread_all: BTreeSet<usize>,
}

impl Moment {
    fn open(endpoint: Memory, database: &mut Database, collections: &[Tracked], limit: usize) -> Result<Moment> {
        let mut moment = Moment {
            endpoint,
            tables: Vec::new(),
            entries: Vec::new(),
            more: false,
            positions: Vec::new(),
            unread: Vec::new(),
            unread_all: BTreeSet::new(),
        };
        for (at, tracked) in collections.iter().enumerate() {
            let table = table_of(&tracked.collection.table.name);
            moment.tables.push((table, database.tables[table].rows.clone()));
            moment.read(database, at, table, tracked.since.as_ref(), limit)?;
        }
        moment.entries.sort_by_key(|entry| entry.pos);
        Ok(moment)
    }

    fn read(&mut self, database: &Database, at: usize, table: usize, since: Option<&Position>, limit: usize) -> Result<()> {
        let now = database.commits;
        let seen = since.map_or(Ok(Seen { whole: now, part: now, lsn: 0 }), Seen::read)?;
        if let Some(entry) = database.pruned.iter().find(|entry| entry.table == table && !seen.covers(entry)) {
            return Err(Error::new(Kind::Tracking, format!("{entry:?} was removed before it was read, at {seen:?}")));
        }
        let mut unseen: Vec<&Logged> = database.log.iter().filter(|entry| entry.table == table && !seen.covers(entry)).collect();
        unseen.sort_by_key(|entry| entry.lsn);
        // Inside a snapshot that was begun, it is finished first.
        let begun = unseen.iter().any(|entry| entry.commit <= seen.part);
        let (whole, part) = if begun { (seen.whole, seen.part) } else { (seen.part, now) };
        let readable: Vec<&Logged> = unseen.iter().copied().filter(|entry| entry.commit <= part).collect();
        let cut = &readable[..readable.len().min(limit)];
        let position = if cut.len() < readable.len() {
            Seen { whole, part, lsn: cut.last().map_or(seen.lsn, |entry| entry.lsn) }
        } else {
            Seen { whole: part, part, lsn: 0 }
        };
        self.positions.push(Position(format!("{}:{}:{}", position.whole, position.part, position.lsn)));
        self.entries.extend(cut.iter().map(|entry| named(at, entry, database)));
        let [mut moves, mut births] = [HashSet::new(), HashSet::new()];
        for entry in unseen.iter().filter(|entry| !position.covers(entry)) {
            self.more = true;
            let named = entry.did.old().into_iter().chain(entry.did.key_after()).map(|key| Key::int(key).encode());
            match entry.did {
                Did::Truncate => {
                    self.unread_all.insert(self.unread.len());
                }
                Did::Delete(_) | Did::Rename(..) => moves.extend(named),
                Did::Insert(_) => births.extend(named),
                Did::Update(_) => {}
            }
        }
        self.unread.push([moves, births]);
        Ok(())
    }

    fn row(&self, collection: usize, key: &Key) -> Option<&Row> {
        self.tables[collection].1.get(&int(key))
    }
}

/// An entry in the contract's words; delete and insert of one key in one transaction are one thing.
fn named(collection: usize, entry: &Logged, database: &Database) -> Entry {
    let all = || database.log.iter().chain(&database.pruned).filter(|other| other.xid == entry.xid && other.table == entry.table);
    let back = |key: i64| all().any(|other| other.lsn > entry.lsn && other.did == Did::Insert(key));
    let replaces = |key: i64| all().any(|other| other.lsn < entry.lsn && other.did == Did::Delete(key));
    let (op, key) = match entry.did {
        Did::Insert(key) if replaces(key) => (Op::Replace, key),
        Did::Insert(key) => (Op::Insert, key),
        Did::Update(key) => (Op::Update, key),
        Did::Delete(key) if back(key) => (Op::Update, key),
        Did::Delete(key) => (Op::Delete, key),
        Did::Rename(key, to) => (Op::Rename { to: Key::int(to) }, key),
        Did::Truncate => (Op::Truncate, 0),
    };
    let key = if op == Op::Truncate { Key(Vec::new()) } else { Key::int(key) };
    Entry { collection, op, key, pos: Pos(entry.lsn), transaction: Some(entry.xid), own: entry.own }
}

#[async_trait]
impl Window for Moment {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn more(&self) -> bool {
        self.more
    }

    fn position(&self, collection: usize) -> Position {
        self.positions[collection].clone()
    }

    fn receipt(&self, _collection: usize) -> ReadReceipt {
        ReadReceipt::default()
    }

    async fn fetch(&mut self, collection: usize, keys: &[Key]) -> Result<Vec<Fetched>> {
        self.endpoint.call().await?;
        let fetched = |key| self.row(collection, key).map_or(Fetched::Absent, |row| Fetched::Row(row.clone(), None));
        Ok(keys.iter().map(fetched).collect())
    }

    async fn unread(&mut self, collection: usize, keys: &[Key], which: Unread) -> Result<HashSet<KeyBytes>> {
        self.endpoint.call().await?;
        let [moves, births] = &self.unread[collection];
        let emptied = self.unread_all.contains(&collection);
        let named = |key: &KeyBytes| emptied || moves.contains(key) || which == Unread::Births && births.contains(key);
        Ok(keys.iter().map(Key::encode).filter(named).collect())
    }

    async fn find(&mut self, collection: usize, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>> {
        self.endpoint.call().await?;
        Ok(values.iter().map(|values| matching(&self.tables[collection].1, rule, values)).collect())
    }

    async fn page(&mut self, collection: usize, after: Option<&Key>, limit: usize) -> Result<Vec<Key>> {
        self.endpoint.call().await?;
        let after = after.map_or(i64::MIN, int);
        Ok(self.tables[collection].1.keys().filter(|key| **key > after).take(limit).map(|key| Key::int(*key)).collect())
    }

    async fn count(&mut self, collection: usize) -> Result<u64> {
        Ok(self.tables[collection].1.len() as u64)
    }
}

fn matching(rows: &BTreeMap<i64, Row>, rule: &[(usize, Normal)], values: &[Value]) -> Vec<Key> {
    let same = |row: &Row| rule.iter().zip(values).all(|((field, _), value)| !value.is_null() && row[*field] == *value);
    rows.iter().filter(|(_, row)| same(row)).take(CANDIDATES_MAX + 1).map(|(key, _)| Key::int(*key)).collect()
}

/// One of our write transactions.
struct Open {
    endpoint: Memory,
    id: u64,
    ended: bool,
}

impl Drop for Open {
    /// Nobody rolled it back: the server notices some time later.
    fn drop(&mut self) {
        if !self.ended {
            let mut world = locked(&self.endpoint.world);
            if let Some(tx) = world.databases[self.endpoint.at].ours.get_mut(&self.id) {
                tx.orphan = true;
            }
        }
    }
}

fn lost() -> Error {
    Error::new(Kind::Retry, "the server closed the connection")
}

impl Open {
    /// A statement of this transaction.
    async fn work<T>(&mut self, act: impl FnOnce(&mut World, u64) -> Result<T>) -> Result<T> {
        pause().await;
        let mut world = locked(&self.endpoint.world);
        let world = &mut *world;
        let ours = &mut world.databases[self.endpoint.at].ours;
        if !ours.contains_key(&self.id) {
            return Err(lost());
        }
        let unlucky = !world.calm && world.chance.one_in(world.options.fault);
        if unlucky || world.strikes(self.endpoint.at, Trouble::Aborted) {
            world.databases[self.endpoint.at].ours.remove(&self.id);
            return Err(Error::new(Kind::Retry, "deadlock detected"));
        }
        act(world, self.id)
    }

    async fn statement(&mut self, name: &'static str, set: &[Cells]) -> Result<session::Answer> {
        let (at, process) = (self.endpoint.at, self.endpoint.process);
        let done = self.work(|world, id| {
            for p in set {
                world.tell(|| format!("    p{process} {name}{}", session::shown(p)));
            }
            match world.databases[at].ours.get_mut(&id) {
                Some(tx) => session::run(&mut tx.own, name, set),
                None => Err(lost()),
            }
        });
        done.await
    }

    async fn finish(&mut self) -> Result<()> {
        let (at, id) = (self.endpoint.at, self.id);
        pause().await;
        {
            let mut world = locked(&self.endpoint.world);
            let Some(tx) = world.databases[at].ours.get_mut(&id) else {
                self.ended = true;
                let doubt = world.chance.one_in(0.5);
                return Err(if doubt { Error::new(Kind::InDoubt, "the answer to COMMIT was lost") } else { lost() });
            };
            tx.sent = true;
        }
        pause().await;
        {
            let mut world = locked(&self.endpoint.world);
            let share = world.options.fault;
            if !world.calm && world.chance.one_in(share * 3.0) {
                // Dropped as it is: it may land yet.
                return Err(Error::new(Kind::InDoubt, "the answer to COMMIT was lost"));
            }
            self.ended = true;
            let Some(tx) = world.databases[at].ours.remove(&id) else { return Err(lost()) };
            world.land(at, tx);
            let share = world.options.abort;
            if !world.calm && world.chance.one_in(share) {
                let count = world.databases.len();
                let next = world.chance.below(count);
                world.trouble = Some((next, Trouble::Aborted));
            }
            if world.strikes(at, Trouble::AnswerLost) {
                return Err(Error::new(Kind::InDoubt, "the answer to COMMIT was lost"));
            }
        }
        pause().await;
        Ok(())
    }

    fn undo(&mut self) {
        self.ended = true;
        locked(&self.endpoint.world).databases[self.endpoint.at].ours.remove(&self.id);
    }
}

#[async_trait]
impl Session for Open {
    async fn query(&mut self, name: &'static str, set: &[Cells]) -> Result<Vec<Cells>> {
        Ok(self.statement(name, set).await?.rows)
    }

    async fn execute(&mut self, name: &'static str, set: &[Cells]) -> Result<u64> {
        Ok(self.statement(name, set).await?.affected)
    }
}

#[async_trait]
impl Transaction for Open {
    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.finish().await
    }

    async fn rollback(mut self: Box<Self>) -> Result<()> {
        self.undo();
        Ok(())
    }
}

#[async_trait]
impl Write for Open {
    async fn lock(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        let (at, table) = (self.endpoint.at, table_of(&collection.table.name));
        self.work(|world, id| {
            let database = &mut world.databases[at];
            let mut rows = Vec::with_capacity(keys.len());
            for key in keys.iter().map(int) {
                let free = !database.locked(table, key, Some(id), None);
                let row = database.tables[table].rows.get(&key).filter(|_| free).cloned();
                if let (Some(_), Some(tx)) = (&row, database.ours.get_mut(&id)) {
                    tx.locks.insert((table, key));
                }
                rows.push(row);
            }
            Ok(rows)
        })
        .await
    }

    async fn find(&mut self, collection: &Collection, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>> {
        let (at, table) = (self.endpoint.at, table_of(&collection.table.name));
        self.work(|world, id| {
            let database = &world.databases[at];
            let rows = database.rows(&database.ours[&id].pending, table);
            Ok(values.iter().map(|values| matching(&rows, rule, values)).collect())
        })
        .await
    }

    async fn insert(&mut self, collection: &Collection, fields: &[usize], rows: &[Create]) -> Result<Vec<Outcome>> {
        let (at, table) = (self.endpoint.at, table_of(&collection.table.name));
        self.work(|world, id| {
            let mut outcomes = Vec::new();
            for create in rows {
                let mut row = vec![Value::Null; collection.columns.len()];
                fields.iter().zip(&create.values).for_each(|(field, value)| row[*field] = value.clone());
                let key = match &create.key {
                    Some(key) => int(key),
                    None => world.databases[at].new_key(table),
                };
                if world.options.copy {
                    row[KEY] = Value::Int(i128::from(key));
                    let database = &world.databases[at];
                    if database.locked_hard(table, key, Some(id), None) {
                        return Err(Error::new(Kind::Retry, "lock time-out"));
                    }
                    if database.row(&database.ours[&id].pending, table, key).is_some() {
                        return Err(Error::new(Kind::Duplicate, "primary key"));
                    }
                }
                change(world, at, id, table, Did::Insert(key), Some(row))?;
                outcomes.push(Outcome::Done(Key::int(key)));
            }
            Ok(outcomes)
        })
        .await
    }

    async fn update(&mut self, collection: &Collection, fields: &[usize], rows: &[Change]) -> Result<Vec<Outcome>> {
        let (at, table) = (self.endpoint.at, table_of(&collection.table.name));
        self.work(|world, id| {
            let mut outcomes = Vec::new();
            for update in rows {
                let key = int(&update.key);
                let database = &world.databases[at];
                let Some(mut row) = database.row(&database.ours[&id].pending, table, key).cloned() else {
                    return Err(Error::new(Kind::Stale, "no such row"));
                };
                fields.iter().zip(&update.values).for_each(|(field, value)| row[*field] = value.clone());
                let to = if world.options.copy { crate::database::raw(&row[KEY]) } else { key };
                if to == key {
                    change(world, at, id, table, Did::Update(key), Some(row))?;
                } else if database.locked_hard(table, to, Some(id), None) {
                    return Err(Error::new(Kind::Retry, "lock time-out"));
                } else if database.row(&database.ours[&id].pending, table, to).is_some() {
                    return Err(Error::new(Kind::Duplicate, "primary key"));
                } else {
                    change(world, at, id, table, Did::Rename(key, to), Some(row))?;
                }
                outcomes.push(Outcome::Done(update.key.clone()));
            }
            Ok(outcomes)
        })
        .await
    }

    async fn delete(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Outcome>> {
        let (at, table) = (self.endpoint.at, table_of(&collection.table.name));
        self.work(|world, id| {
            for key in keys {
                change(world, at, id, table, Did::Delete(int(key)), None)?;
            }
            Ok(keys.iter().cloned().map(Outcome::Done).collect())
        })
        .await
    }

    async fn read_back(&mut self, collection: &Collection, keys: &[Key]) -> Result<(Vec<Fetched>, Pos)> {
        let (at, table) = (self.endpoint.at, table_of(&collection.table.name));
        self.work(|world, id| {
            let database = &world.databases[at];
            let pending = &database.ours[&id].pending;
            let fetched = |key: &Key| match database.row(pending, table, int(key)) {
                Some(row) => Fetched::Row(row.clone(), None),
                None => Fetched::Absent,
            };
            let last = pending.iter().filter(|step| step.entry.table == table).map(|step| step.entry.lsn).max();
            Ok((keys.iter().map(fetched).collect(), Pos(last.unwrap_or(0))))
        })
        .await
    }

    fn session(&mut self) -> &mut dyn Session {
        self
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.finish().await
    }

    async fn rollback(mut self: Box<Self>) -> Result<()> {
        self.undo();
        Ok(())
    }
}

/// One statement of ours on one row: constraints, lock, log entry.
fn change(world: &mut World, at: usize, id: u64, table: usize, did: Did, row: Option<Row>) -> Result<()> {
    let refusing = world.options.refusing && !world.calm;
    let database = &mut world.databases[at];
    let row = row.map(|row| database.stored(row));
    let pending = database.ours[&id].pending.clone();
    let refused = |row: &Row| crate::database::entity(row) % 5 == 4;
    if refusing && at == 1 && row.as_ref().is_some_and(refused) {
        return Err(Error::new(Kind::Rejected, "check constraint not_now"));
    }
    if let (Did::Insert(_), Some(row), true) = (did, &row, database.unique) {
        database.check_unique(&pending, table, &row[ENTITY])?;
    }
    let mut shared = None;
    if let (Some(parents), Some(row)) = (database.tables[table].refers, &row) {
        let parent = crate::database::raw(&row[PARENT]);
        let before = did.old().and_then(|key| database.row(&pending, table, key));
        let same = before.is_some_and(|before| before[PARENT] == row[PARENT]);
        if !row[PARENT].is_null() && !same && (did.key_after(), table) != (Some(parent), parents) {
            if database.locked_hard(parents, parent, Some(id), None) {
                return Err(Error::new(Kind::Retry, "lock time-out"));
            }
            if database.row(&pending, parents, parent).is_none() {
                return Err(Error::new(Kind::Rejected, "foreign key parent_exists"));
            }
            shared = Some((parents, parent));
        }
    }
    if let Did::Delete(key) = did
        && database.referred(&pending, table, key)
    {
        return Err(Error::new(Kind::Rejected, "foreign key parent_exists"));
    }
    let xid = database.ours[&id].xid;
    let entry = database.entry(table, did, xid, true);
    if let Some(tx) = database.ours.get_mut(&id) {
        tx.locks.extend(did.old().into_iter().chain(did.key_after()).map(|key| (table, key)));
        tx.shares.extend(shared);
        tx.pending.push(Pending { entry, row });
    }
    if world.options.trigger && at == 1 {
        fire(world, at, id, table, did);
    }
    Ok(())
}

/// A trigger of the application: whatever is done to another row, the table's first row is changed too.
fn fire(world: &mut World, at: usize, id: u64, table: usize, did: Did) {
    let number = i64::try_from(world.id()).unwrap_or(0);
    let value = crate::database::value(number, 0, &world.options, X);
    let database = &mut world.databases[at];
    let xid = database.ours[&id].xid;
    let first = database.tables[table].rows.first_key_value().map(|(key, row)| (*key, row.clone()));
    let Some((key, before)) = first.filter(|(key, _)| did.old() != Some(*key)) else { return };
    let mut row = before.clone();
    row[X] = value;
    let of = crate::database::entity(&row);
    let effects = [Effect::Gone(of, X, crate::database::raw(&before[X])), Effect::Set(of, X, crate::database::raw(&row[X]))];
    let entry = database.entry(table, Did::Update(key), xid, true);
    if let Some(tx) = database.ours.get_mut(&id) {
        tx.locks.insert((table, key));
        tx.pending.push(Pending { entry, row: Some(row) });
        tx.effects.extend(effects);
    }
}

/// Tables are named `t0`, `t1`.
pub fn table_of(name: &TableName) -> usize {
    name.name.trim_start_matches('t').parse().unwrap_or(0)
}

fn int(key: &Key) -> i64 {
    key.0.first().map_or(0, crate::database::raw)
}

/// All endpoints as a process sees them.
pub fn endpoints(world: &Shared, process: u64) -> Vec<Arc<dyn Endpoint>> {
    let count = locked(world).databases.len();
    (0..count).map(|at| Arc::new(Memory { world: world.clone(), at, process }) as Arc<dyn Endpoint>).collect()
}
