//! The world of one run: databases, clock, chance, and what must be true in the end.

use std::sync::{Arc, Mutex, MutexGuard};

use twinrow::error::{Error, Kind, Result};
use twinrow::pipeline::BATCH;
use twinrow::sql::Cell;

use crate::configuration::Setup;
use crate::database::Database;
use crate::options::{Home, Options, receiver};
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
    /// A table that can't be used, of which database, and for how many steps.
    pub halted: Option<(usize, usize, u32)>,
    /// Seconds since 1970.
    pub clock: i64,
    /// How many records are decided together.
    pub batch: usize,
    pub ledger: Ledger,
    /// Writes to users' rows that were ours, of each integration.
    pub writes: [u64; 2],
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
            halted: None,
            options,
            clock: 1_700_000_000,
            // Not by chance, for what scripts do is in one batch: theirs is seed 1.
            batch: [1, BATCH, 2, BATCH, 3, BATCH, 5, BATCH][(seed % 8) as usize],
            ledger: Ledger::default(),
            writes: [0; 2],
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

    /// Whether we may write a table of this database.
    pub fn may_write(&self, at: usize, table: usize) -> bool {
        let receiver = receiver(self.options.direction_of(table));
        self.options.changes > 0.0 || receiver.is_none_or(|receiver| receiver == at)
    }

    pub fn is_halted(&self, at: usize, table: usize) -> bool {
        self.halted.is_some_and(|(halted, which, _)| (halted, which) == (at, table))
    }

    /// An error where a table can't be used.
    pub fn there(&self, at: usize, table: usize) -> Result<()> {
        if self.is_halted(at, table) { Err(Error::new(Kind::Schema, format!("no table t{table}"))) } else { Ok(()) }
    }

    /// Whether a full compare is under way, of those that go on.
    pub fn is_scanning(&self) -> bool {
        let going = |home: usize, link: &Cell| self.wire(home, link).is_some_and(|wire| !self.is_refused(wire.integration));
        self.homes().into_iter().any(|home| self.databases[home].own.scan.values().any(|scan| going(home, &scan[0])))
    }

    pub fn all_writes(&self) -> u64 {
        self.writes.iter().sum()
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
                    let before = self.writes;
                    self.land(at, tx);
                    if let Some(restored) = self.restored.as_mut().filter(|restored| id <= restored.begun) {
                        (0..2).for_each(|which| restored.writes[which] += self.writes[which] - before[which]);
                    }
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
