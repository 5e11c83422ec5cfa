//! Our write transactions on a database in memory.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use twinrow::endpoint::{Change, Create, Fetched, MovedBy, Outcome, Reach, ReadReceipt, Write};
use twinrow::error::{Error, Kind, Result};
use twinrow::model::{Collection, Key, KeyBytes, Normal, Pos, Position, Row, TableName, Value};
use twinrow::sql::{Cells, Session, Transaction};

use crate::database::{Database, Did, ENTITY, Logged, PARENT, Pending, Why, X, raw};
use crate::endpoint::{Memory, denied_here, pause, table_of};
use crate::keys::{self, REGION, assign, int, places, project};
use crate::moment::{matching, seen};
use crate::options::OnDelete;
use crate::session;
use crate::users::Effect;
use crate::world::{Trouble, World, locked};

/// One of our write transactions.
pub struct Open {
    pub endpoint: Memory,
    pub id: u64,
    pub ended: bool,
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

    /// As [`Open::work`], on rows of a user's table.
    async fn rows<T>(&mut self, table: usize, act: impl FnOnce(&mut World, u64) -> Result<T>) -> Result<T> {
        let at = self.endpoint.at;
        self.work(|world, id| match world.denied {
            Some((denied, ..)) if denied == at => Err(denied_here()),
            _ => world.there(at, table).and_then(|()| act(world, id)),
        })
        .await
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
        let (at, table, places) = (self.endpoint.at, table_of(&collection.table.name), places(collection));
        self.rows(table, |world, id| {
            let database = &mut world.databases[at];
            let mut rows = Vec::with_capacity(keys.len());
            for key in keys.iter().map(int) {
                let free = !database.locked(table, key, Some(id), None);
                let row = database.tables[table].rows.get(&key).filter(|_| free).cloned();
                if let (Some(_), Some(tx)) = (&row, database.ours.get_mut(&id)) {
                    tx.locks.insert((table, key));
                }
                rows.push(row.map(|row| project(&row, &places)));
            }
            Ok(rows)
        })
        .await
    }

    async fn moved(
        &mut self,
        collection: &Collection,
        keys: &[Key],
        since: &Position,
        _read: &ReadReceipt,
        by: MovedBy,
    ) -> Result<HashSet<KeyBytes>> {
        let (at, integration, table) = (self.endpoint.at, self.endpoint.integration, table_of(&collection.table.name));
        self.rows(table, |world, _| {
            let database = &world.databases[at];
            let seen = seen(since, database.tables[table].log)?;
            let asked = |entry: &&Logged| match by {
                MovedBy::Anybody => true,
                MovedBy::Others => entry.own != Some(integration),
            };
            let later = database.log.iter().filter(|entry| entry.table == table && !seen.covers(entry)).filter(asked);
            let named = |entry: &Logged| match entry.did {
                Did::Truncate | Did::Mark => keys.iter().map(int).collect(),
                Did::Update(_) => Vec::new(),
                did => did.old().into_iter().chain(did.key_after()).collect::<Vec<_>>(),
            };
            let moved: BTreeSet<i64> = later.flat_map(named).collect();
            Ok(keys.iter().filter(|key| moved.contains(&int(key))).map(Key::encode).collect())
        })
        .await
    }

    async fn find(&mut self, collection: &Collection, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>> {
        let (at, table, places) = (self.endpoint.at, table_of(&collection.table.name), places(collection));
        self.rows(table, |world, id| {
            let database = &mut world.databases[at];
            let (rows, composite) = (database.rows(&database.ours[&id].pending, table), database.composite);
            if let Some(tx) = database.ours.get_mut(&id) {
                tx.looked_for.extend(values.iter().filter_map(|values| Some((table, raw(values.first()?)))));
            }
            Ok(values.iter().map(|values| matching((&rows, composite), &places, rule, values)).collect())
        })
        .await
    }

    async fn insert(&mut self, collection: &Collection, fields: &[usize], rows: &[Create]) -> Result<Vec<Outcome>> {
        let (at, table, places) = (self.endpoint.at, table_of(&collection.table.name), places(collection));
        self.rows(table, |world, id| {
            let mut outcomes = Vec::new();
            for create in rows {
                let mut row = vec![Value::Null; world.options.width(table)];
                assign(&mut row, fields.iter().map(|field| places[*field]).zip(&create.values));
                let key = match &create.key {
                    Some(key) => int(key),
                    None => {
                        let number = world.databases[at].new_key(table);
                        world.databases[at].keyed(row.get(REGION).map_or(0, raw), number)
                    }
                };
                world.databases[at].note_key(&mut row, key);
                if world.options.copy {
                    let database = &world.databases[at];
                    if database.locked_hard(table, key, Some(id), None) {
                        return Err(Error::new(Kind::Retry, "lock time-out"));
                    }
                    if database.row(&database.ours[&id].pending, table, key).is_some() {
                        return Err(Error::new(Kind::Duplicate, "primary key"));
                    }
                }
                change(world, at, id, table, Did::Insert(key), Some(row))?;
                outcomes.push(Outcome::Done(keys::named(key, world.databases[at].composite)));
            }
            Ok(outcomes)
        })
        .await
    }

    async fn update(&mut self, collection: &Collection, fields: &[usize], rows: &[Change]) -> Result<Vec<Outcome>> {
        let (at, table, places) = (self.endpoint.at, table_of(&collection.table.name), places(collection));
        self.rows(table, |world, id| {
            let mut outcomes = Vec::new();
            for update in rows {
                let key = int(&update.key);
                let database = &world.databases[at];
                let Some(mut row) = database.row(&database.ours[&id].pending, table, key).cloned() else {
                    return Err(Error::new(Kind::Stale, "no such row"));
                };
                assign(&mut row, fields.iter().map(|field| places[*field]).zip(&update.values));
                let to = database.key_of(&row, world.options.copy, key);
                if to == key {
                    change(world, at, id, table, Did::Update(key), Some(row))?;
                } else if database.locked_hard(table, to, Some(id), None) {
                    return Err(Error::new(Kind::Retry, "lock time-out"));
                } else if !database.on_update
                    && (database.referred(&database.ours[&id].pending, table, key)
                        || database.tables[table].refers == Some(table) && row[PARENT] == Value::Int(i128::from(key)))
                {
                    return Err(Error::new(Kind::Rejected, "foreign key parent_exists"));
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

    async fn reach(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Reach>> {
        let (at, table) = (self.endpoint.at, table_of(&collection.table.name));
        self.rows(table, |world, id| {
            let database = &world.databases[at];
            let pending = &database.ours[&id].pending;
            let reach = |key: &Key| {
                let children = database.children(pending, table, int(key));
                let busy = database.locked(table, int(key), Some(id), None)
                    || children.iter().any(|(at, child)| database.locked(*at, *child, Some(id), None));
                match (database.on_delete, children.first()) {
                    (OnDelete::Restrict | OnDelete::SetNull, _) => Reach::Row,
                    _ if busy => Reach::Locked,
                    (_, Some((at, _))) => Reach::Cascades(TableName { schema: String::new(), name: format!("t{at}") }),
                    (_, None) => Reach::Row,
                }
            };
            Ok(keys.iter().map(reach).collect())
        })
        .await
    }

    async fn delete(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Outcome>> {
        let (at, table) = (self.endpoint.at, table_of(&collection.table.name));
        self.rows(table, |world, id| {
            for key in keys {
                change(world, at, id, table, Did::Delete(int(key)), None)?;
            }
            Ok(keys.iter().cloned().map(Outcome::Done).collect())
        })
        .await
    }

    async fn read_back(&mut self, collection: &Collection, keys: &[Key]) -> Result<(Vec<Fetched>, Pos)> {
        let (at, table, places) = (self.endpoint.at, table_of(&collection.table.name), places(collection));
        self.rows(table, |world, id| {
            let database = &world.databases[at];
            let pending = &database.ours[&id].pending;
            let fetched = |key: &Key| match database.row(pending, table, int(key)) {
                Some(row) => Fetched::Row(project(row, &places), None),
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
    let own = world.databases[at].ours.get(&id).map(|tx| tx.integration);
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
    if let Some(row) = &row {
        let xid = database.ours[&id].xid;
        database.taken(&pending, table, did.old().or(did.key_after()), &row[X], Some(xid))?;
    }
    let mut shared = None;
    if let (Some(parents), Some(row)) = (database.tables[table].refers, &row) {
        let parent = raw(&row[PARENT]);
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
    let xid = database.ours[&id].xid;
    let steps = if let Did::Delete(key) = did {
        if database.on_delete == OnDelete::Restrict && database.referred(&pending, table, key) {
            return Err(Error::new(Kind::Rejected, "foreign key parent_exists"));
        }
        let mut reached = database.reached(&pending, table, key).into_iter().chain([(table, key)]);
        if reached.any(|(at, key)| database.locked(at, key, Some(id), None)) {
            return Err(Error::new(Kind::Retry, "lock time-out"));
        }
        database.deletion(&pending, (table, key), xid, own)
    } else if let (Did::Rename(key, to), Some(row)) = (did, &row) {
        let followers = if database.on_update { database.children(&pending, table, key) } else { Vec::new() };
        if followers.into_iter().any(|(at, key)| database.locked(at, key, Some(id), None)) {
            return Err(Error::new(Kind::Retry, "lock time-out"));
        }
        database.moving(&pending, table, (key, to), row.clone(), (xid, own))
    } else {
        vec![Pending { entry: database.entry(table, did, xid, own), row, why: Why::Asked }]
    };
    let freed: Vec<Effect> = steps
        .iter()
        .filter(|step| step.why == Why::Taken && matches!(did, Did::Delete(_)))
        .filter_map(|step| freed(database, step))
        .collect();
    if let Some(tx) = database.ours.get_mut(&id) {
        let keys = |step: &Pending| step.entry.did.old().into_iter().chain(step.entry.did.key_after()).collect::<Vec<_>>();
        tx.locks.extend(steps.iter().flat_map(|step| keys(step).into_iter().map(|key| (step.entry.table, key))));
        tx.shares.extend(shared);
        tx.pending.extend(steps);
        tx.effects.extend(freed);
    }
    if world.options.trigger && at == 1 {
        fire(world, at, id, table)?;
    }
    Ok(())
}

/// A reference that a delete of ours has emptied, as the foreign key says.
fn freed(database: &Database, step: &Pending) -> Option<Effect> {
    let before = database.row(&[], step.entry.table, step.row.as_ref().and(step.entry.did.old())?)?;
    let parents = database.tables[step.entry.table].refers?;
    let parent = database.row(&[], parents, raw(&before[PARENT]))?;
    Some(Effect::Gone(crate::database::entity(before), PARENT, crate::database::entity(parent) * 10))
}

/// A trigger of the application: whatever is done to another row, the table's first row is changed too; not one that
/// this transaction is to write itself: what a trigger makes of a value that was sent is how the database stores it.
fn fire(world: &mut World, at: usize, id: u64, table: usize) -> Result<()> {
    let number = i64::try_from(world.id()).unwrap_or(0);
    let value = crate::database::value(number, 0, &world.options, X);
    let database = &mut world.databases[at];
    let rows = database.rows(&database.ours[&id].pending, table);
    let first = rows.first_key_value().map(|(key, row)| (*key, row.clone()));
    let Some((key, before)) = first.filter(|(key, _)| !database.ours[&id].locks.contains(&(table, *key))) else {
        return Ok(());
    };
    if database.locked(table, key, Some(id), None) {
        return Err(Error::new(Kind::Retry, "lock time-out"));
    }
    let mut row = before.clone();
    row[X] = value;
    let of = crate::database::entity(&row);
    let effects = [Effect::Gone(of, X, raw(&before[X])), Effect::Set(of, X, raw(&row[X]))];
    let (xid, own) = (database.ours[&id].xid, database.ours.get(&id).map(|tx| tx.integration));
    let entry = database.entry(table, Did::Update(key), xid, own);
    if let Some(tx) = database.ours.get_mut(&id) {
        tx.locks.insert((table, key));
        tx.pending.push(Pending { entry, row: Some(row), why: Why::Asked });
        tx.effects.extend(effects);
    }
    Ok(())
}
