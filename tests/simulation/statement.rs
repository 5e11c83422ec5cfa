//! One statement of a user's transaction, and what it does to what must be found in the end.

use twinrow::model::{Row, Value};

use crate::database::{Database, Did, PARENT, Pending, Why, X, Y, entity, raw, value};
use crate::keys::{self, REGION, REGIONS};
use crate::options::OnDelete;
use crate::users::{Effect, UserTx};
use crate::world::World;

/// One statement of a user's transaction.
pub struct Statement {
    pub at: usize,
    pub tx: UserTx,
}

impl Statement {
    /// The row of its last statement.
    pub fn last(&self) -> Option<Row> {
        self.tx.pending.last()?.row.clone()
    }

    /// Whether someone's open transaction refers to this row, our own included.
    fn holds(&self, table: usize, key: i64) -> bool {
        self.tx.shares.contains(&(table, key))
    }

    pub fn tied(&self, database: &Database, table: usize, key: i64) -> bool {
        database.referred(&self.tx.pending, table, key) || self.holds(table, key)
    }

    /// Whether a row that others refer to can be deleted all the same.
    pub fn may_go(&self, database: &Database, table: usize, key: i64) -> bool {
        let free = |(at, key): (usize, i64)| !database.locked(at, key, None, Some(self.tx.xid)) && !self.holds(at, key);
        let mut reached = database.reached(&self.tx.pending, table, key).into_iter().chain([(table, key)]);
        database.on_delete != OnDelete::Restrict && reached.all(free)
    }

    /// Whether a row that others refer to can be given another key all the same.
    pub fn may_move(&self, database: &Database, table: usize, key: i64) -> bool {
        let free = |(at, key): (usize, i64)| !database.locked(at, key, None, Some(self.tx.xid));
        database.on_update && !self.holds(table, key) && database.children(&self.tx.pending, table, key).into_iter().all(free)
    }

    /// The tables that are emptied with one, children first.
    pub fn emptied(&self, world: &World, table: usize) -> Vec<usize> {
        let tables = &world.databases[self.at].tables;
        let below = (0..tables.len()).filter(|at| *at != table && tables[*at].refers == Some(table));
        below.chain([table]).collect()
    }

    pub fn step(&mut self, database: &mut Database, table: usize, did: Did, row: Option<Row>) {
        let entry = database.entry(table, did, self.tx.xid, None);
        let row = row.map(|row| database.stored(row));
        self.push(Pending { entry, row, why: Why::Asked });
    }

    pub fn push(&mut self, step: Pending) {
        let did = step.entry.did;
        self.tx.locks.extend(did.old().into_iter().chain(did.key_after()).map(|key| (step.entry.table, key)));
        self.tx.pending.push(step);
    }

    pub fn value(&self, world: &mut World, number: i64, field: usize) -> Value {
        let digits = match world.options.rounding {
            crate::options::Rounding::No => 1,
            crate::options::Rounding::Mapped => 5,
            crate::options::Rounding::Silent => 10,
        };
        if world.options.blank > 0.0 && world.chance.one_in(world.options.blank) {
            return Value::Null;
        }
        let exact = match world.options.rounding {
            crate::options::Rounding::Silent => !world.databases[self.at].rounds,
            _ => self.at == 0,
        };
        let digit = if field == Y && exact { world.chance.below(digits) as i64 } else { 0 };
        value(number, digit, &world.options, field)
    }

    /// A row to refer to, and that it stays.
    pub fn parent(&mut self, world: &mut World, table: usize) -> Value {
        let database = &world.databases[self.at];
        let Some(parents) = database.tables[table].refers else { return Value::Null };
        let rows = database.rows(&self.tx.pending, parents);
        let free: Vec<i64> =
            rows.keys().copied().filter(|key| !database.locked_hard(parents, *key, None, Some(self.tx.xid))).collect();
        if free.is_empty() || world.chance.one_in(0.3) {
            return Value::Null;
        }
        let parent = *world.chance.pick(&free);
        self.tx.shares.insert((parents, parent));
        Value::Int(i128::from(parent))
    }

    /// Inserts a record that was there before.
    pub fn put_back(&mut self, world: &mut World, table: usize, key: i64, row: Row) {
        self.effect(world, table, &row, &[X, Y, PARENT, REGION], true);
        self.step(&mut world.databases[self.at], table, Did::Insert(key), Some(row));
    }

    /// Inserts a record under a key, with whatever parent there is.
    pub fn add(&mut self, world: &mut World, table: usize, key: i64, entity: i64, number: i64) {
        let parent = self.parent(world, table);
        self.add_under(world, table, (key, parent), entity, number);
    }

    /// Inserts a record under a key and a parent.
    pub fn add_under(&mut self, world: &mut World, table: usize, (key, parent): (i64, Value), entity: i64, number: i64) {
        let mut row = vec![Value::Int(i128::from(entity)), self.value(world, number, X), self.value(world, number, Y)];
        row.extend((world.options.width(table) > PARENT).then_some(parent));
        row.resize(world.options.width(table), keys::number(1 + key % REGIONS));
        world.databases[self.at].note_key(&mut row, key);
        let row = world.databases[self.at].stored(row);
        self.effect(world, table, &row, &[X, Y, PARENT, REGION], true);
        self.step(&mut world.databases[self.at], table, Did::Insert(key), Some(row));
    }

    /// Writes one field.
    pub fn set(&mut self, world: &mut World, table: usize, key: i64, before: &Row, field: usize, number: i64) {
        let mut row = before.clone();
        row[field] = match field {
            PARENT => self.parent(world, table),
            REGION => keys::number(1 + world.chance.below(REGIONS as usize) as i64),
            field => self.value(world, number, field),
        };
        let row = world.databases[self.at].stored(row);
        self.effect(world, table, before, &[field], false);
        self.effect(world, table, &row, &[field], true);
        self.step(&mut world.databases[self.at], table, Did::Update(key), Some(row));
    }

    /// Gives a record a parent, also one that this very transaction has written.
    pub fn refer_to(&mut self, world: &mut World, table: usize, key: i64, parent: i64) {
        let before = world.databases[self.at].rows(&self.tx.pending, table)[&key].clone();
        self.refer(world, table, key, &before, Some(parent));
    }

    /// Lets a record refer to another one, or to none.
    pub fn refer(&mut self, world: &mut World, table: usize, key: i64, before: &Row, parent: Option<i64>) {
        let mut row = before.clone();
        row[PARENT] = parent.map_or(Value::Null, |parent| Value::Int(i128::from(parent)));
        self.effect(world, table, before, &[PARENT], false);
        self.effect(world, table, &row, &[PARENT], true);
        self.step(&mut world.databases[self.at], table, Did::Update(key), Some(row));
    }

    /// Empties the table, and commits at once: nobody else can use it meanwhile.
    pub fn truncate(&mut self, world: &mut World, table: usize) {
        for row in world.databases[self.at].rows(&self.tx.pending, table).into_values() {
            self.tx.effects.push(Effect::Deleted(entity(&row)));
            self.effect(world, table, &row, &[X, Y, PARENT, REGION], false);
        }
        self.step(&mut world.databases[self.at], table, Did::Truncate, None);
    }

    /// Deletes a row, and what its foreign keys say with it.
    pub fn delete(&mut self, world: &mut World, table: usize, key: i64, before: &Row) {
        let database = &world.databases[self.at];
        let rows = |(at, key): (usize, i64)| Some((at, database.row(&self.tx.pending, at, key)?.clone()));
        let reached: Vec<(usize, Row)> = database.reached(&self.tx.pending, table, key).into_iter().filter_map(rows).collect();
        let goes = database.on_delete != OnDelete::SetNull;
        for (at, row) in reached.iter().map(|(at, row)| (*at, row)).chain([(table, before)]) {
            if goes || std::ptr::eq(row, before) {
                self.tx.effects.push(Effect::Deleted(entity(row)));
                self.effect(world, at, row, &[X, Y, PARENT, REGION], false);
            } else {
                self.effect(world, at, row, &[PARENT], false);
            }
        }
        let steps = world.databases[self.at].deletion(&self.tx.pending, (table, key), self.tx.xid, None);
        steps.into_iter().for_each(|step| self.push(step));
    }

    /// Gives a row another key, and a field another value.
    pub fn give_key(&mut self, world: &mut World, table: usize, key: i64, before: &Row, to: i64, number: i64) {
        let field = *world.chance.pick(&[X, Y]);
        let mut row = before.clone();
        row[field] = self.value(world, number, field);
        world.databases[self.at].note_key(&mut row, to);
        let row = world.databases[self.at].stored(row);
        self.effect(world, table, before, &[field, REGION], false);
        self.effect(world, table, &row, &[field, REGION], true);
        let steps = world.databases[self.at].moving(&self.tx.pending, table, (key, to), row, (self.tx.xid, None));
        steps.into_iter().for_each(|step| self.push(step));
    }

    /// A record gets another key, and that is all.
    pub fn move_to(&mut self, world: &mut World, table: usize, key: i64, row: Row, to: i64) {
        self.step(&mut world.databases[self.at], table, Did::Rename(key, to), Some(row));
    }

    /// Two records exchange their keys, over one that nobody has.
    pub fn swap(&mut self, world: &mut World, table: usize, one: i64, other: i64) {
        let database = &mut world.databases[self.at];
        let number = database.new_key(table);
        let aside = database.keyed(1, number);
        for (from, to) in [(one, aside), (other, one), (aside, other)] {
            let Some(before) = world.databases[self.at].row(&self.tx.pending, table, from).cloned() else { return };
            let number = i64::try_from(world.id()).unwrap_or(0);
            self.give_key(world, table, from, &before, to, number);
        }
    }

    pub fn effect(&mut self, world: &World, table: usize, row: &Row, fields: &[usize], set: bool) {
        let of = entity(row);
        for field in fields.iter().copied().filter(|field| *field < row.len() && !row[*field].is_null()) {
            let database = &world.databases[self.at];
            let raw = if field == PARENT {
                // A reference is told by the entity it leads to, which both sides know.
                let parents = database.tables[table].refers.unwrap_or(0);
                let parent = raw(&row[PARENT]);
                database.row(&self.tx.pending, parents, parent).map_or(of, entity) * 10
            } else if field == REGION {
                raw(&row[REGION]) * 10
            } else {
                raw(&row[field])
            };
            self.tx.effects.push(if set { Effect::Set(of, field, raw) } else { Effect::Gone(of, field, raw) });
        }
    }
}
