//! Runs whose order of events is written down: for each rule the interleaving that needs it, once and for
//! certain. What they end with is judged as every other run.

use twinrow::model::Value;

use crate::database::{PARENT, entity, raw};
use crate::options::{Home, Options};
use crate::run::Run;
use crate::session::{REASON, number};
use crate::statement::Statement;
use crate::world::{Trouble, World};

pub(crate) const S: usize = 0;
pub(crate) const T: usize = 1;
pub(crate) const TABLE: usize = 0;

pub(crate) struct Script(pub(crate) Run);

/// Nobody interferes but the script.
pub(crate) fn quiet() -> Options {
    Options { home: Home::Third, crash: 0.0, second: 0.0, away: 0.0, fault: 0.0, abort: 0.0, ..Options::default() }
}

impl Script {
    pub(crate) fn new(options: Options) -> Script {
        let mut run = Run::new(1, options, true);
        run.prepare();
        assert!(run.failed.is_empty(), "{:?}", run.failed);
        Script(run)
    }

    /// A user's transaction, committed.
    pub(crate) fn user<T>(&mut self, at: usize, act: impl FnOnce(&mut Statement, &mut World) -> T) -> T {
        let done = self.open(at, act);
        self.end(at, false);
        done
    }

    /// A user's transaction that stays open.
    pub(crate) fn open<T>(&mut self, at: usize, act: impl FnOnce(&mut Statement, &mut World) -> T) -> T {
        self.0.world().open(at, act)
    }

    pub(crate) fn end(&mut self, at: usize, roll_back: bool) {
        let mut world = self.0.world();
        let last = world.databases[at].users.len() - 1;
        world.end_user(at, last, Some(roll_back));
    }

    /// A new record; its key.
    pub(crate) fn insert(&mut self, at: usize) -> i64 {
        self.user(at, |statement, world| {
            let key = world.databases[at].new_key(TABLE);
            let entity = world.id() as i64;
            add(statement, world, key, entity);
            key
        })
    }

    /// A record under a key; its entity is another one, or the one given.
    pub(crate) fn insert_as(&mut self, at: usize, key: i64, entity: Option<i64>) {
        self.user(at, |statement, world| {
            let entity = entity.unwrap_or_else(|| world.id() as i64);
            add(statement, world, key, entity);
        });
    }

    pub(crate) fn update(&mut self, at: usize, key: i64, field: usize) {
        self.user(at, |statement, world| set(statement, world, at, key, field));
    }

    pub(crate) fn delete(&mut self, at: usize, key: i64) {
        self.user(at, |statement, world| {
            let before = world.databases[at].tables[TABLE].rows[&key].clone();
            statement.delete(world, TABLE, key, &before);
        });
    }

    pub(crate) fn rename(&mut self, at: usize, key: i64, to: i64) {
        self.user(at, |statement, world| {
            let before = world.databases[at].tables[TABLE].rows[&key].clone();
            let number = world.id() as i64;
            statement.give_key(world, TABLE, key, &before, to, number);
        });
    }

    /// The process that was started last, after `step`.
    pub(crate) fn start_until(&mut self, step: &'static str) -> u64 {
        self.0.start(false);
        self.until(self.0.started, step);
        self.0.started
    }

    pub(crate) fn until(&mut self, process: u64, step: &'static str) {
        for _ in 0..10_000 {
            self.0.world().passed = None;
            assert!(self.0.poll(process), "process {process} ended before {step}: {:?}", self.0.failed);
            if self.0.world().passed == Some((process, step)) {
                return;
            }
        }
        panic!("process {process} never came to {step}");
    }

    /// So many steps of a process that may be waiting for another one.
    pub(crate) fn polls(&mut self, process: u64, count: usize) {
        for _ in 0..count {
            self.0.poll(process);
        }
    }

    /// As many cycles as it takes, by a process that ends then.
    pub(crate) fn sync(&mut self) {
        self.0.start(false);
        self.0.cycles(6);
        self.crash();
    }

    pub(crate) fn crash(&mut self) {
        self.0.crash(0);
    }

    pub(crate) fn trouble(&mut self, at: usize, trouble: Trouble) {
        self.0.world().trouble = Some((at, trouble));
    }

    /// The key of a record of a side.
    pub(crate) fn key(&self, at: usize, of: i64) -> Option<i64> {
        let world = self.0.world();
        world.databases[at].tables[TABLE].rows.iter().find(|(_, row)| entity(row) == of).map(|(key, _)| *key)
    }

    pub(crate) fn entity(&self, at: usize, key: i64) -> i64 {
        entity(&self.0.world().databases[at].tables[TABLE].rows[&key])
    }

    /// A record both sides have; its keys.
    pub(crate) fn twins(&mut self) -> [i64; 2] {
        let source = self.insert(S);
        self.sync();
        let of = self.entity(S, source);
        [source, self.key(T, of).expect("its twin was made")]
    }

    pub(crate) fn rows(&self, at: usize) -> Vec<Vec<i64>> {
        self.0.world().databases[at].tables[TABLE].rows.values().map(|row| row.iter().map(raw).collect()).collect()
    }

    pub(crate) fn has(&self, at: usize, key: i64) -> bool {
        self.0.world().databases[at].tables[TABLE].rows.contains_key(&key)
    }

    /// How many records each brake holds.
    pub(crate) fn brakes(&self) -> Vec<i64> {
        let world = self.0.world();
        world.databases[world.home()].own.brake.values().map(|brake| number(&brake[4])).collect()
    }

    /// The machine's clock is set to another time.
    pub(crate) fn set_clock(&mut self, by: i64) {
        self.0.world().clock += by;
    }

    /// Whatever waits for a while has waited.
    pub(crate) fn later(&mut self) {
        self.0.world().clock += 4_000;
        self.sync();
    }

    /// Takes away the rows that refer to one of the target's.
    pub(crate) fn empty_family(&mut self, parent: i64) {
        self.user(T, |statement, world| {
            let rows = world.databases[T].tables[1].rows.clone();
            for (key, row) in rows.iter().filter(|(_, row)| row[PARENT] == Value::Int(i128::from(parent))) {
                statement.delete(world, 1, *key, row);
            }
        });
    }

    pub(crate) fn reasons(&self) -> Vec<i64> {
        let world = self.0.world();
        world.databases[world.home()].own.work.values().map(|work| number(&work[REASON])).collect()
    }

    /// Both sides come together, nothing is lost or doubled, and then nothing more is written.
    pub(crate) fn ends_well(mut self) {
        self.0.calm();
        let world = self.0.world();
        let mut wrong = self.0.failed.clone();
        wrong.extend(world.verdict());
        if !wrong.is_empty() {
            let trace = world.trace.clone().unwrap_or_default();
            println!("{}", trace[trace.len().saturating_sub(150)..].join("\n"));
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

pub(crate) fn add(statement: &mut Statement, world: &mut World, key: i64, entity: i64) {
    let number = world.id() as i64;
    statement.add(world, TABLE, key, entity, number);
}

pub(crate) fn set(statement: &mut Statement, world: &mut World, at: usize, key: i64, field: usize) {
    let before = world.databases[at].tables[TABLE].rows[&key].clone();
    let number = world.id() as i64;
    statement.set(world, TABLE, key, &before, field, number);
}
