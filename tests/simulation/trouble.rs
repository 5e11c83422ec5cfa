//! What goes wrong in the world, and how it ends.

use twinrow::model::Value;

use crate::configuration::Setup;
use crate::database::{Did, Logged, X, Y, value};
use crate::keys::{self, REGION, REGIONS};
use crate::users::Effect;
use crate::world::World;

impl World {
    /// A server gives up on a transaction that has been idle for too long.
    pub fn time_out(&mut self) {
        for at in 0..self.databases.len() {
            let idle = self.databases[at].ours.iter().find(|(_, tx)| !tx.sent && !tx.orphan).map(|(id, _)| *id);
            if let Some(id) = idle {
                self.databases[at].ours.remove(&id);
                self.tell(|| format!("{} closes tx {id}", crate::world::name(at)));
            }
        }
    }

    /// Users stop, and nothing fails any more.
    pub fn come_to_rest(&mut self) {
        self.calm = true;
        self.trouble = None;
        self.denied = None;
        self.halted = None;
        self.setup = Setup { mapped: true, children: true, ..self.setup.clone() };
        if self.options.changes > 0.0 {
            self.setup = Setup {
                direction: self.options.direction,
                below: self.options.below,
                blanks: self.options.blanks,
                ..self.setup.clone()
            };
        }
        for at in 0..self.options.data() {
            while !self.databases[at].users.is_empty() {
                self.end_user(at, 0, Some(false));
            }
        }
        self.settle(true);
        self.tell(|| "calm".into());
    }

    /// A right is taken away, or given back.
    pub fn rights(&mut self) {
        if let Some((.., steps)) = &mut self.denied {
            *steps = steps.saturating_sub(1);
        }
        self.denied = self.denied.filter(|(.., steps)| *steps > 0);
        let share = self.options.denied;
        if share > 0.0 && self.denied.is_none() && self.chance.one_in(share) {
            let at = self.chance.below(self.options.data());
            let (writes, steps) = (self.chance.one_in(0.5), 5 + self.chance.below(40) as u32);
            self.denied = Some((at, writes, steps));
            self.tell(|| format!("a right is missing in {}", crate::world::name(at)));
        }
    }

    /// A table is taken away, or given back.
    pub fn halt(&mut self) {
        if let Some((.., steps)) = &mut self.halted {
            *steps = steps.saturating_sub(1);
        }
        self.halted = self.halted.filter(|(.., steps)| *steps > 0);
        let share = self.options.halts;
        if share > 0.0 && self.halted.is_none() && self.chance.one_in(share) {
            let at = self.chance.below(self.options.data());
            let table = self.chance.below(self.databases[at].tables.len());
            self.halted = Some((at, table, 5 + self.chance.below(80) as u32));
            self.tell(|| format!("table {table} of {} can't be used", crate::world::name(at)));
        }
    }

    /// Whoever else reads a log keeps it short, at any moment.
    pub fn compact(&mut self) {
        let share = self.options.compaction;
        if share > 0.0 && self.chance.one_in(share) {
            let at = self.chance.below(self.options.data());
            let table = self.chance.below(self.databases[at].tables.len());
            self.shorten(at, table);
        }
    }

    /// A bite of a log: updates of rows that newer entries name are dropped.
    pub fn shorten(&mut self, at: usize, table: usize) {
        let World { databases, chance, .. } = self;
        let log = databases[at].log.clone();
        let newer = |entry: &Logged| {
            log.iter().any(|newer| newer.table == table && newer.lsn > entry.lsn && newer.did.old() == entry.did.old())
        };
        let repeated = |entry: &Logged| matches!(entry.did, Did::Update(_)) && entry.table == table && newer(entry);
        databases[at].log.retain(|entry| !(repeated(entry) && chance.one_in(0.6)));
    }

    /// A log is dropped by mistake, and made anew.
    pub fn relog(&mut self) {
        let share = self.options.relog;
        if share > 0.0 && self.chance.one_in(share) {
            let at = self.chance.below(self.options.data());
            let table = self.chance.below(self.databases[at].tables.len());
            self.databases[at].forget_log(table);
            self.tell(|| format!("the log of table {table} in {} is made anew", crate::world::name(at)));
        }
    }

    /// Data that was there before anybody looked.
    pub fn stock(&mut self) {
        for _ in 0..self.options.rows {
            let entity = i64::try_from(self.id()).unwrap_or(0);
            let sides: &[usize] = match self.chance.below(4) {
                0 => &[0],
                1 => &[1],
                _ if !self.options.matching => &[0],
                _ => &[0, 1],
            };
            let third = self.options.data() > 2 && self.options.matching && sides.len() == 2;
            let sides: &[usize] = if third { &[0, 1, 2] } else { sides };
            let same = self.chance.one_in(0.5);
            let (x, y) = (self.id() as i64, self.id() as i64);
            for at in sides {
                let (x, y) = if same { (x, y) } else { (self.id() as i64, self.id() as i64) };
                let mut row = vec![Value::Int(i128::from(entity)), value(x, 0, &self.options, X), value(y, 0, &self.options, Y)];
                let number = self.databases[*at].new_key(0);
                let key = self.databases[*at].keyed(1 + number % REGIONS, number);
                row.resize(self.options.width(0), Value::Null);
                if self.options.is_composite() {
                    row[REGION] = keys::number(1 + number % REGIONS);
                    self.ledger.user(*at, Effect::Set(entity, REGION, (1 + number % REGIONS) * 10));
                }
                self.databases[*at].note_key(&mut row, key);
                let row = self.databases[*at].stored(row);
                self.ledger.user(*at, Effect::Set(entity, X, x * 10));
                self.ledger.user(*at, Effect::Set(entity, Y, y * 10));
                self.ledger.stood(*at, 0, key, &row[0]);
                self.databases[*at].tables[0].rows.insert(key, row);
            }
        }
    }
}
