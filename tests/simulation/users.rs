//! The applications on both sides: transactions of several statements, long open, some rolled back.

use std::collections::{BTreeMap, BTreeSet};

use twinrow::model::{Row, Value};

use crate::database::{Did, ENTITY, PARENT, Pending, Why, X, Y, entity, value};
use crate::keys::{REGION, REGIONS, region};
use crate::statement::Statement;
use crate::world::{World, name};

/// What a statement does to what must be found in the end.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    /// Entity, field, raw value.
    Set(i64, usize, i64),
    /// The same: overwritten or deleted by a user.
    Gone(i64, usize, i64),
    Deleted(i64),
}

#[derive(Clone, Debug)]
pub struct UserTx {
    pub xid: u64,
    pub pending: Vec<Pending>,
    pub effects: Vec<Effect>,
    pub locks: BTreeSet<(usize, i64)>,
    /// Rows it refers to.
    pub shares: BTreeSet<(usize, i64)>,
}

impl World {
    /// One statement of one user.
    pub fn user(&mut self) {
        let data = self.options.data();
        let at = self.chance.below(data);
        let open = self.databases[at].users.len();
        // Nothing can keep the same record from being entered on both sides at the same moment where it may
        // stand twice: there it is entered at once.
        let twin = self.options.matching && !self.options.unique && self.chance.one_in(0.1);
        let tx = if !twin && open > 0 && self.chance.one_in(0.5) { self.chance.below(open) } else { self.begin_user(at) };
        if !twin && self.chance.one_in(0.15) {
            return;
        }
        let mut statement = Statement { at, tx: self.databases[at].users[tx].clone() };
        let share = self.options.truncate;
        if share > 0.0 && self.chance.one_in(share) {
            let table = self.chance.below(self.databases[at].tables.len());
            let reached = statement.emptied(self, table);
            if statement.tx.pending.is_empty() && reached.iter().all(|table| !self.databases[at].in_use(*table)) {
                reached.into_iter().for_each(|table| statement.truncate(self, table));
                self.databases[at].users[tx] = statement.tx;
                self.end_user(at, tx, None);
                return;
            }
        }
        if twin {
            statement.enter(self)
        } else {
            statement.run(self)
        }
        self.databases[at].users[tx] = statement.tx;
        if twin {
            self.end_user(at, tx, Some(false));
        } else if self.chance.one_in(0.6) {
            self.end_user(at, tx, None);
        }
    }

    fn begin_user(&mut self, at: usize) -> usize {
        let database = &mut self.databases[at];
        database.xid += 1;
        let tx = UserTx {
            xid: database.xid,
            pending: Vec::new(),
            effects: Vec::new(),
            locks: BTreeSet::new(),
            shares: BTreeSet::new(),
        };
        database.users.push(tx);
        database.users.len() - 1
    }

    /// A transaction of a user as a script wants it; it stays open.
    pub fn open<T>(&mut self, at: usize, act: impl FnOnce(&mut Statement, &mut World) -> T) -> T {
        let tx = self.begin_user(at);
        let mut statement = Statement { at, tx: self.databases[at].users[tx].clone() };
        let done = act(&mut statement, self);
        self.databases[at].users[tx] = statement.tx;
        done
    }

    /// Commits or rolls back.
    pub fn end_user(&mut self, at: usize, tx: usize, roll_back: Option<bool>) {
        let tx = self.databases[at].users.remove(tx);
        if roll_back.unwrap_or_else(|| self.chance.one_in(0.15)) {
            return;
        }
        for effect in &tx.effects {
            self.note(at, *effect);
        }
        for step in &tx.pending {
            if let (Some(key), Some(row)) = (step.entry.did.key_after(), &step.row) {
                self.ledger.stood(at, step.entry.table, key, &row[ENTITY]);
            }
            let (did, table) = (step.entry.did, step.entry.table);
            let before = did.old().and_then(|key| self.databases[at].tables[table].rows.get(&key));
            let silent = if step.why == Why::Asked { "" } else { " by a foreign key" };
            let of = step.row.as_ref().or(before).map_or(0, entity);
            self.tell(|| format!("{} user {} {did:?}{silent} table {table} e{of} lsn {}", name(at), tx.xid, step.entry.lsn));
        }
        self.note_exchanged(at, &tx);
        self.databases[at].commit_user(tx);
    }

    /// Records that stand under the keys of others which this transaction has deleted.
    fn note_exchanged(&mut self, at: usize, tx: &UserTx) {
        for (place, step) in tx.pending.iter().enumerate() {
            let (Did::Insert(key), Some(row)) = (step.entry.did, &step.row) else { continue };
            let deleted = |other: &&Pending| other.entry.table == step.entry.table && other.entry.did == Did::Delete(key);
            if tx.pending[..place].iter().any(|other| deleted(&other))
                && let Some(before) = self.databases[at].tables[step.entry.table].rows.get(&key)
            {
                self.ledger.exchanged.extend([entity(row), entity(before)].into_iter().filter(|_| row[ENTITY] != before[ENTITY]));
            }
        }
    }
}

/// What a user thinks of.
impl Statement {
    fn run(&mut self, world: &mut World) {
        let database = &world.databases[self.at];
        let table = world.chance.below(database.tables.len());
        let rows = database.rows(&self.tx.pending, table);
        let free: Vec<i64> = rows.keys().copied().filter(|key| !database.locked(table, *key, None, Some(self.tx.xid))).collect();
        let number = i64::try_from(world.id()).unwrap_or(0);
        let chance = world.chance.next() as f64 / u64::MAX as f64;
        if world.options.swaps && world.chance.one_in(0.3) && self.unique_value(world, table, &free, &rows) {
            return;
        }
        if (chance < 0.2 && rows.len() < world.options.rows) || free.is_empty() {
            let both = world.options.unique && world.chance.one_in(0.3);
            let known = if both { self.twin_of(world, table) } else { None };
            self.insert(world, table, number, known);
            return;
        }
        let key = *world.chance.pick(&free);
        let before = rows[&key].clone();
        let database = &world.databases[self.at];
        let tied = self.tied(database, table, key);
        // Without a reference to it that someone may yet commit, it can go, and takes others along.
        let goes = !tied || self.may_go(database, table, key);
        let moves = !tied || self.may_move(database, table, key);
        let (delete, rename) = (world.options.delete, world.options.rename);
        // On one side: what both exchange at once can only be held.
        if !tied && self.at == 0 && world.options.swap > 0.0 && free.len() > 1 && world.chance.one_in(world.options.swap) {
            let other = *free.iter().find(|other| **other != key).unwrap_or(&key);
            return self.swap(world, table, key, other);
        }
        match chance - 0.2 {
            p if p < 0.0 => self.update(world, table, key, before, number),
            p if p < delete && goes => self.delete(world, table, key, &before),
            p if (delete..delete + rename).contains(&p) && moves => self.rename(world, table, key, before, number),
            p if (delete + rename..delete + rename + 0.05).contains(&p) && !tied => {
                self.replace(world, table, key, before, number)
            }
            _ => self.update(world, table, key, before, number),
        }
    }

    /// Two records swap their first values, or one takes a value that may be another one's on the other side.
    fn unique_value(&mut self, world: &mut World, table: usize, free: &[i64], rows: &BTreeMap<i64, Row>) -> bool {
        if free.len() > 1 && world.chance.one_in(0.6) {
            let one = *world.chance.pick(free);
            let Some(other) = free.iter().copied().find(|key| *key != one) else { return false };
            self.exchange(world, table, [one, other], X);
        } else if free.is_empty() {
            return false;
        } else {
            let (key, code) = (*world.chance.pick(free), 1 + world.chance.below(4) as i64);
            let x = value(code, 0, &world.options, X);
            if world.databases[self.at].taken(&self.tx.pending, table, Some(key), &x, Some(self.tx.xid)).is_err() {
                return false;
            }
            self.give(world, table, key, &rows[&key], (X, x));
        }
        true
    }

    /// Two records exchange a value.
    pub fn exchange(&mut self, world: &mut World, table: usize, [one, other]: [i64; 2], field: usize) {
        let rows = world.databases[self.at].rows(&self.tx.pending, table);
        for (key, from) in [(one, other), (other, one)] {
            self.give(world, table, key, &rows[&key], (field, rows[&from][field].clone()));
        }
    }

    /// A record gets this value in a field.
    pub fn give(&mut self, world: &mut World, table: usize, key: i64, before: &Row, (field, value): (usize, Value)) {
        let mut row = before.clone();
        row[field] = value;
        self.effect(world, table, before, &[field], false);
        self.effect(world, table, &row, &[field], true);
        self.step(&mut world.databases[self.at], table, Did::Update(key), Some(row));
    }

    /// A record that the other side has is entered here as well.
    fn enter(&mut self, world: &mut World) {
        let table = world.chance.below(world.databases[self.at].tables.len());
        let number = i64::try_from(world.id()).unwrap_or(0);
        if let Some(entity) = self.twin_of(world, table) {
            self.insert(world, table, number, Some(entity));
        }
    }

    /// An entity that the other side has and this one has not: entered here by hand as well.
    ///
    /// Not while a transaction of ours that has looked for it and found nothing is open: where no unique index forbids
    /// it, nothing can keep an application from entering it between our look and our commit.
    fn twin_of(&self, world: &mut World, table: usize) -> Option<i64> {
        let (here, there) = (&world.databases[self.at], &world.databases[1 - self.at.min(1)]);
        let unique = here.unique;
        let looked_for = |row: &Row| !unique && here.ours.values().any(|tx| tx.looked_for.contains(&(table, entity(row))));
        let ours = here.ours.values().flat_map(|tx| &tx.pending).filter_map(|step| step.row.as_ref());
        let ours: Vec<i64> = ours.map(entity).collect();
        let free = |row: &Row| {
            here.check_unique(&self.tx.pending, table, &row[ENTITY]).is_ok() && !ours.contains(&entity(row)) && !looked_for(row)
        };
        // Where a unique index forbids two of them, also one that somebody is just entering there.
        let entered = there.users.iter().flat_map(|tx| &tx.pending).filter(|step| unique && step.entry.table == table);
        let rows = there.tables[table].rows.values().chain(entered.filter_map(|step| step.row.as_ref()));
        let known: Vec<i64> = rows.filter(|row| free(row)).map(entity).collect();
        if known.is_empty() { None } else { Some(*world.chance.pick(&known)) }
    }

    fn update(&mut self, world: &mut World, table: usize, key: i64, before: Row, number: i64) {
        let fields = if world.databases[self.at].tables[table].refers.is_some() { 3 } else { 2 };
        let mut field = [X, Y, PARENT][world.chance.below(fields)];
        // A part of the key only on the other side.
        if world.options.is_composite() && !world.databases[self.at].composite && world.chance.one_in(0.3) {
            field = REGION;
        }
        self.set(world, table, key, &before, field, number);
    }

    fn rename(&mut self, world: &mut World, table: usize, key: i64, before: Row, number: i64) {
        let itself = before.get(PARENT) == Some(&Value::Int(i128::from(key)));
        if itself && !world.databases[self.at].on_update {
            return;
        }
        let choice = world.chance.below(100);
        let mut to = world.databases[self.at].free_key(table, choice);
        let database = &world.databases[self.at];
        if database.composite {
            // Another region, another number, or both.
            let other = 1 + world.chance.below(REGIONS as usize) as i64;
            let region = if choice < 70 { other } else { region(key) };
            to = database.keyed(region, if choice < 50 { database.number_of(key) } else { to });
            if to == key {
                return;
            }
        }
        self.give_key(world, table, key, &before, to, number);
    }

    /// Deleted and inserted again under the same key, as REPLACE and some applications do.
    fn replace(&mut self, world: &mut World, table: usize, key: i64, before: Row, number: i64) {
        let field = *world.chance.pick(&[X, Y]);
        let mut row = before.clone();
        row[field] = self.value(world, number, field);
        let row = world.databases[self.at].stored(row);
        self.effect(world, table, &before, &[field], false);
        self.effect(world, table, &row, &[field], true);
        let database = &mut world.databases[self.at];
        self.step(database, table, Did::Delete(key), None);
        self.step(database, table, Did::Insert(key), Some(row));
    }

    fn insert(&mut self, world: &mut World, table: usize, number: i64, known: Option<i64>) {
        let entity = known.unwrap_or_else(|| i64::try_from(world.id()).unwrap_or(0));
        let choice = world.chance.below(100);
        let database = &mut world.databases[self.at];
        let number_there = if choice < 50 { database.new_key(table) } else { database.free_key(table, choice) };
        let key = database.keyed(1 + choice as i64 % REGIONS, number_there);
        self.add(world, table, key, entity, number);
    }
}
