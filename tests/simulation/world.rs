//! The world of one run: databases, clock, chance, and what must be true in the end.

use std::sync::{Arc, Mutex, MutexGuard};

use twinrow::model::{Blanks, ConflictPolicy, Deletes, Direction};

use crate::configuration::Setup;
use crate::database::Database;
use crate::oracle::Ledger;
use crate::restore::{Backup, Restored};

/// What decides: everything random comes from here, so a run repeats itself exactly (SplitMix64).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x7477_696e_726f_7700)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap_or(0)
    }

    /// True so often.
    pub fn one_in(&mut self, share: f64) -> bool {
        ((self.next() >> 11) as f64 / (1u64 << 53) as f64) < share
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Which database holds the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    Source,
    Target,
    Third,
}

/// How the target stores less than the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    No,
    /// The mapping rounds, because the column says so and the field is `lossy: fit`.
    Mapped,
    /// The database rounds what it is given, and says nothing.
    Silent,
}

/// Who refers to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One table.
    Flat,
    /// Children that refer to parents.
    Family,
    /// Records that refer to records of their own table, in circles too.
    Circle,
}

/// What becomes of the rows that refer to one that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// They keep it.
    Restrict,
    /// They go with it, and triggers log it.
    Cascade,
    /// They go with it, and no trigger fires: one on the parent writes a mark, as on MySQL where the way down is a circle.
    Marked,
    /// They refer to nothing from then on.
    SetNull,
}

/// A third database that holds the same records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Third {
    No,
    /// Another integration keeps it in step with the source.
    Star,
    /// Another integration keeps it in step with the target.
    Chain,
    /// The same integration has links to it too.
    Same,
}

/// What one run is made of.
#[derive(Clone, Debug)]
pub struct Options {
    pub home: Home,
    /// Deleted keys are given out again, on the source and on the target.
    pub reuse: [bool; 2],
    pub rounding: Rounding,
    pub shape: Shape,
    /// On the source, on the target.
    pub on_delete: [OnDelete; 2],
    pub third: Third,
    /// Whether records are matched by their business key.
    pub matching: bool,
    /// And by what they refer to.
    pub by_parent: bool,
    /// Whether the databases know that it is unique.
    pub unique: bool,
    /// Whether both sides hold data before the first run.
    pub stocked: bool,
    pub deletes: Deletes,
    pub conflict: ConflictPolicy,
    pub direction: Direction,
    pub blanks: Blanks,
    /// Whether the source's keys are the target's too.
    pub copy: bool,
    /// How many log entries a window reads at most.
    pub limit: usize,
    /// So many rows have room in memory at a time, in some of the windows.
    pub room: usize,
    /// A full compare is asked for so often, per cycle.
    pub scan: f64,
    /// Processes run as `run --once` does, whose logs are compacted, and are compared where they are longer than this.
    pub log_max: Option<u64>,
    /// Per step of the scheduler: a right is lost for a while; the configuration is changed; a log is made anew.
    pub denied: f64,
    pub changes: f64,
    pub relog: f64,
    /// Whether one database, or all of them, are set back to an earlier moment, once.
    pub restore: bool,
    /// Whether the first value is unique, swapped and chosen from a few.
    pub swaps: bool,
    /// Whether the brake may trip.
    pub brake: bool,
    /// Whether servers refuse some records for a while.
    pub refusing: bool,
    /// Whether a trigger of the target's application changes the first row with every write of ours.
    pub trigger: bool,
    /// Per step of the scheduler.
    pub crash: f64,
    pub second: f64,
    pub away: f64,
    /// Per call of an endpoint: the server aborts the transaction, or cannot be reached.
    pub fault: f64,
    pub busy: f64,
    /// Per transaction of ours that commits: the next one there is aborted.
    pub abort: f64,
    pub delete: f64,
    pub rename: f64,
    /// Two records of the source exchange their keys.
    pub swap: f64,
    /// Per statement of a user: the whole table is emptied; a field is emptied.
    pub truncate: f64,
    pub blank: f64,
    /// Rows per table and side, about.
    pub rows: usize,
    pub steps: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            home: Home::Target,
            reuse: [false, false],
            rounding: Rounding::No,
            shape: Shape::Flat,
            on_delete: [OnDelete::Restrict; 2],
            third: Third::No,
            matching: false,
            by_parent: false,
            unique: false,
            stocked: false,
            deletes: Deletes::Delete,
            conflict: ConflictPolicy::Source,
            direction: Direction::Both,
            blanks: Blanks::Propagate,
            copy: false,
            limit: 20_000,
            scan: 0.0,
            log_max: None,
            denied: 0.0,
            changes: 0.0,
            relog: 0.0,
            restore: false,
            room: usize::MAX,
            swaps: false,
            brake: false,
            refusing: false,
            trigger: false,
            crash: 0.015,
            second: 0.01,
            away: 0.004,
            fault: 0.001,
            busy: 0.4,
            abort: 0.002,
            delete: 0.08,
            rename: 0.07,
            swap: 0.0,
            truncate: 0.0,
            blank: 0.0,
            rows: 5,
            steps: 700,
        }
    }
}

/// Something that goes wrong once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server aborts a transaction of ours at its next statement.
    Aborted,
    /// A transaction of ours commits, and nobody hears of it.
    AnswerLost,
}

pub struct World {
    pub chance: Chance,
    pub options: Options,
    /// Source, target, perhaps a third one, and where the state lives apart, that one.
    pub databases: Vec<Database>,
    /// What the configuration says now.
    pub setup: Setup,
    /// A right that is missing: where, whether only to write, for how many steps.
    pub denied: Option<(usize, bool, u32)>,
    /// Seconds since 1970.
    pub clock: i64,
    pub ledger: Ledger,
    /// Writes to users' rows that were ours.
    pub writes: u64,
    /// Users have stopped, nothing fails any more.
    pub calm: bool,
    pub next_id: u64,
    /// The step of the cycle that was passed last, and by whom.
    pub passed: Option<(u64, &'static str)>,
    /// What a script wants to go wrong next, and where.
    pub trouble: Option<(usize, Trouble)>,
    /// What stands in a backup, and what became of it.
    pub backup: Option<Backup>,
    pub restored: Option<Restored>,
    /// What happened, keys only; kept when a failed run is told again.
    pub trace: Option<Vec<String>>,
}

pub type Shared = Arc<Mutex<World>>;

/// The world, for as long as one step takes.
pub fn locked(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl World {
    pub fn new(seed: u64, options: Options, trace: bool) -> World {
        let count = options.data() + usize::from(options.home == Home::Third);
        let databases = (0..count).map(|at| Database::new(at, &options)).collect();
        World {
            chance: Chance::new(seed),
            databases,
            setup: Setup::of(&options),
            denied: None,
            options,
            clock: 1_700_000_000,
            ledger: Ledger::default(),
            writes: 0,
            calm: true,
            next_id: 0,
            passed: None,
            trouble: None,
            backup: None,
            restored: None,
            trace: trace.then(Vec::new),
        }
    }

    /// Where the integrations have their state, once each.
    pub fn homes(&self) -> Vec<usize> {
        let mut homes: Vec<usize> = (0..self.options.integrations()).map(|which| self.options.home_of(which)).collect();
        homes.dedup();
        homes
    }

    /// The database that holds the first integration's state.
    pub fn home(&self) -> usize {
        self.options.home_of(0)
    }

    /// Whether we may write this database.
    pub fn may_write(&self, at: usize) -> bool {
        match self.options.direction {
            _ if self.options.changes > 0.0 => true,
            Direction::Both => true,
            Direction::ToTarget => at != 0,
            Direction::ToSource => at != 1,
        }
    }

    /// Whether this trouble is due here; then it is over.
    pub fn strikes(&mut self, at: usize, trouble: Trouble) -> bool {
        self.trouble.take_if(|due| *due == (at, trouble)).is_some()
    }

    pub fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn tell(&mut self, event: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(event());
        }
    }

    /// What was sent by processes that are no more ends, some day: rolled back, or committed after all.
    pub fn settle(&mut self, at_once: bool) {
        for at in 0..self.databases.len() {
            let orphans: Vec<u64> = self.databases[at].ours.iter().filter(|(_, tx)| tx.orphan).map(|(id, _)| *id).collect();
            for id in orphans {
                if !at_once && !self.chance.one_in(0.15) {
                    continue;
                }
                let Some(tx) = self.databases[at].ours.remove(&id) else { continue };
                if tx.sent && self.chance.one_in(0.7) {
                    self.tell(|| format!("{} tx {id} lands after all", name(at)));
                    self.land(at, tx);
                } else {
                    self.tell(|| format!("{} tx {id} is rolled back", name(at)));
                }
            }
        }
    }
}

/// A database's name.
pub fn name(at: usize) -> &'static str {
    ["S", "T", "U", "K"][at]
}
