//! The cycle: the only place where decisions meet I/O.
//!
//! ```text
//! take over   fences, receipts of the last process           takeover.rs
//! capture     one moment per endpoint, entries and rows       capture.rs
//! fold        deletes and renames onto pairs                  capture.rs, evidence.rs, away.rs
//! identify    keys -> pairs, rows, matches                    identify.rs, matching.rs, found_again.rs, made_again.rs, echo.rs
//! decide      reconcile::decide, per record                   batch.rs, rings.rs
//! guard       the brake                                       brake.rs, changes.rs, doubt.rs
//! apply       lock, write, read back, receipt or map          apply.rs, split.rs, exchange.rs, parking.rs, job.rs, leaves.rs, knots.rs
//!             to an app: note, send, record                   apply_app.rs, intents.rs
//! record      the map, bases, ends, unfinished work           record.rs, conflicts.rs, finish.rs, restless.rs
//! close       cursors, then acknowledge                       close.rs, memory.rs
//! ```
//! First sync, retries, full compares and recovery are the same function with another worklist.

mod ahead;
mod apply;
mod apply_app;
mod awaited;
mod away;
mod backlog;
mod batch;
mod brake;
mod capture;
mod changes;
mod clock;
mod close;
mod columns;
mod conflicts;
mod counts;
mod cycle;
mod door;
mod doubt;
mod echo;
mod evidence;
mod exchange;
mod finish;
mod first;
mod foresee;
mod forest;
mod found_again;
mod identify;
mod intents;
mod item;
mod job;
mod knots;
mod leaves;
mod made_again;
mod map;
mod matching;
mod memory;
mod parents;
mod parking;
mod places;
mod plan;
mod record;
mod repair;
mod restless;
mod rings;
mod run;
mod scan;
mod split;
mod stopped;
mod supposed;
mod survivors;
mod takeover;
mod timings;
mod translate;
mod unread;
mod waits;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result};
use crate::model::{Both, Integration, KeyBytes, Link, Side};
use crate::sql::{Fence, Session, Store};
use crate::state;

pub use columns::is_columns;
pub use counts::{Counts, LinkCounts, Sample};
pub use door::{Door, Real};
pub use first::{Unapproved, approve_waiting};
pub use forest::{check as check_forest, forget, integrations};
pub use map::is_map;
pub use places::is_place;
pub use run::{Rival, install, interrupted, tables_at};
pub use takeover::{check_identity, push_aside};
pub use timings::{Phase, Timings};
pub use unread::unread_moves;

/// At most so many entries are read of an endpoint's logs at a time: what a cycle holds in memory.
pub const WINDOW_MAX: usize = 16_000;

/// So many records are fetched, decided and written together.
pub const BATCH: usize = 2_000;

/// What a run may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything.
    Apply,
    /// Decide and count; write nothing.
    Plan,
}

/// One integration being kept in step by this process.
pub struct Pipeline {
    integration: Arc<Integration>,
    endpoints: Vec<Arc<dyn Endpoint>>,
    door: Arc<dyn Door>,
    fence: Fence,
    /// The last id given out in this epoch: pairs, receipts.
    last_id: i64,
    /// The number of the cycle under way.
    cycle: i64,
    mode: Mode,
    /// Keys that records had until this cycle gave them others: rows that were read before still show them
    /// there (rule 3). By link, side and key.
    left: HashSet<(i64, Side, KeyBytes)>,
    /// Receipts that the state has absorbed, to be removed from their endpoint.
    absorbed: Vec<(usize, i64)>,
    /// Links and sides nothing is written to until a person approves: too much was lost.
    braked: Vec<(i64, Side)>,
    /// The same: too much would be changed. What was lost and approved is written all the same.
    halted: Vec<(i64, Side)>,
    /// Links and sides on which another table stands, so that nothing is written there.
    doubted: Vec<(i64, Side)>,
    /// Links and sides whose changes are counted before any is written.
    suspended: Vec<(i64, Side)>,
    /// How many changes each side's waiting set had when it was last hashed, by link: of the worklist as it was.
    hashed: HashMap<(i64, Side), u64>,
    /// What is written now was approved: it does not count again.
    releasing: bool,
    /// Links that may have a full compare to do which begins with a recheck, by number.
    unchecked: HashSet<i64>,
    /// Deletes that were refused in this cycle, where records may refer to each other.
    refused: Vec<knots::Refused>,
    /// Records of the link under way that did not get a unique value because another one still has it.
    blocked: Vec<item::Todo>,
    /// When only planning: changes met so far.
    planned: Both<u64>,
    /// When a plan is shown, of the batch under way: what will be of records that others refer to. By the place of their link,
    /// side and key.
    foreseen: HashMap<(usize, Side, KeyBytes), translate::Foreseen>,
    /// How many levels above the batch the record stands that is asked about.
    levels: usize,
    /// How many looks the batch has taken for that.
    looks: usize,
    /// Whether a plan is to be shown.
    shown: bool,
    /// When a plan is shown: what the map and the worklist would hold.
    supposed: Box<supposed::Supposed>,
    /// Links with records that lost a side while a full compare is under way, by number: before it has seen
    /// everything nobody knows how many they are.
    comparing: HashSet<i64>,
    /// Whether the worklist of the link under way holds anything: else nothing needs to be taken off it.
    has_work: bool,
    /// Links with records that wait for a parent, by number: else nobody needs to be released.
    waiting: HashSet<i64>,
    /// Links with records that are held, by number: else no delete waits for the rows below it to go.
    holding: HashSet<i64>,
    /// How many records of a link had room in memory together the last time, by number, where that is fewer than a batch.
    fit: HashMap<i64, usize>,
    /// Links that may have conflicts which wait for a person, by number.
    undecided: HashSet<i64>,
    /// Pairs with a conflict that is pending because the answer of the app to its write was lost.
    unheard: HashSet<i64>,
    /// How far each link's logs were read: as the state has it, which only this process changes.
    cursors: Vec<Option<state::Cursors>>,
    /// When the worklists were last looked at though no entry asked for it; see [`Pipeline::cycle`].
    looked_at: i64,
    /// Whether the last cycle left something to be done at once.
    look_again: bool,
    /// The fence number of each endpoint as it was last seen.
    fences: HashMap<usize, i64>,
    /// Until when this cycle tries refused batches in smaller parts; `None`: nothing was refused yet.
    split_until: Option<i64>,
    /// Instance and fence number of the endpoints whose rows this cycle relies on, to be recorded with what it does.
    relied: BTreeMap<usize, (String, i64)>,
    /// Where the time goes.
    timings: Timings,
    /// What was recorded a moment ago and comes back through the logs.
    echoes: echo::Echoes,
    /// Rows whose twins are gone and that nobody but us has written since.
    survivors: survivors::Survivors,
    /// Records whose sides answer each other, and how long they are held for that.
    restless: restless::Restless,
    /// Creates at apps whose outcome is not known.
    unsettled: intents::Unsettled,
    /// Whether the logs were not read to their end the last time, or nobody knows.
    midway: bool,
    /// Per link and side, while a log is read that was longer than `log_max`.
    overlong: Vec<Both<bool>>,
    /// The time of the last cycle: the clock may go back.
    clock: i64,
    /// When a bite was last taken of the logs.
    compacted_at: i64,
    /// When the cursors were last written though nothing had happened.
    closed_at: i64,
    /// The links that stand still, or did, by place.
    stopped: BTreeMap<usize, stopped::Stopped>,
    /// The places of those that are not read and written now.
    still: HashSet<usize>,
    /// The columns of each link's tables when this process began.
    columns: Vec<columns::Columns>,
    /// Links, by number, whose map has pairs or had some: one that has none now was lost.
    mapped: HashSet<i64>,
    /// What was looked up of the next batch.
    ahead: Option<ahead::Ahead>,
    /// Links, by number, and sides that have given a key out again while the map still had its last holder there.
    given_again: HashSet<(i64, Side)>,
    /// The link that is being carried over.
    in_hand: Option<usize>,
    /// Sides of links that were taken out of the configuration and whose tables are read for others.
    away: Vec<away::Away>,
    /// Whether the last cycle ended for a reason that is gone when everything begins with step 1.
    anew: bool,
}

impl Pipeline {
    /// Takes the integration over. From here on, every write of an earlier process fails.
    ///
    /// # Errors
    /// [`Kind::Fenced`] if another process takes over at the same time, [`Kind::Identity`] if an
    /// endpoint is not the one the state knows.
    pub async fn take_over(
        integration: Integration,
        endpoints: Vec<Arc<dyn Endpoint>>,
        door: Arc<dyn Door>,
        holder: &str,
    ) -> Result<Pipeline> {
        takeover::take_over(integration, endpoints, door, holder).await
    }

    /// The integration, with the numbers the state gave its links and fields.
    pub fn integration(&self) -> &Integration {
        &self.integration
    }

    /// Where the time went until now.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// The epoch of this take-over.
    pub fn epoch(&self) -> i64 {
        self.fence.epoch
    }

    fn home(&self) -> Result<&dyn Store> {
        self.store(self.integration.home)
    }

    fn store(&self, endpoint: usize) -> Result<&dyn Store> {
        self.endpoints[endpoint]
            .store()
            .ok_or_else(|| Error::new(Kind::Config, "an app can't hold the state").hint("name a database as `state:`"))
    }

    async fn home_session(&self) -> Result<Box<dyn Session>> {
        self.home()?.session().await
    }

    fn is_home(&self, link: &Link, side: Side) -> bool {
        link.endpoint[side] == self.integration.home
    }

    fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }
}
