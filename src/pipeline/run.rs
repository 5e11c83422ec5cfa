//! From an integration to a running pipeline, and the loops around the cycle.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::clock::passed;
use super::repair::by_hand;
use super::takeover::{LEASE_S, check_identity};
use super::{Counts, Door, Pipeline};
use crate::endpoint::{Endpoint, Tracking};
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Both, Integration, Link, Scan, ScanPart, Side, Table};
use crate::state::{self, Lease, Run};

/// Shortest and longest pause between two polls: quick after work, slow when idle.
const POLL_MIN: Duration = Duration::from_millis(1);
const POLL_MAX: Duration = Duration::from_secs(1);

/// Tracking objects are compared with what was installed at least so often.
const INSPECT_EVERY_S: i64 = 1;

/// A run stops after so many cycles in a row in which busy records stayed busy.
const FRUITLESS_MAX: u32 = 4;

/// Where others write without a pause there is always something left: a run ends after so many cycles in a row that
/// left nothing over of what they began with. (Far more than it takes until a record that triggers set off again and
/// again is held.)
const CAUGHT_UP_MAX: u32 = 100;

/// Names of settings.
const INIT_TRACKING: &str = "init_tracking_objects";
const LAST_SYNC_TIME: &str = "last_sync_time";

/// The tables of an integration at an endpoint, once each.
pub fn tables_at(integration: &Integration, endpoint: usize) -> Vec<Table> {
    tables_of(integration.links.iter().filter(|link| link.broken.is_none()), endpoint)
}

/// The tables of these links at an endpoint, once each.
pub(super) fn tables_of<'a>(links: impl Iterator<Item = &'a Link>, endpoint: usize) -> Vec<Table> {
    let (mut names, mut tables) = (BTreeSet::new(), Vec::new());
    for link in links {
        for side in Side::BOTH {
            let table = &link.collection[side].table;
            if link.endpoint[side] == endpoint && names.insert(&table.name) {
                tables.push(table.clone());
            }
        }
    }
    tables
}

/// Installs whatever is missing at every endpoint; returns what was done, a line each.
pub async fn install(integration: &Integration, endpoints: &[Arc<dyn Endpoint>]) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for (at, endpoint) in endpoints.iter().enumerate() {
        let Some(tracking) = endpoint.tracking() else { continue };
        let name = &integration.endpoints[at];
        let lines = tracking.install(&tables_at(integration, at), at == integration.home).await;
        let lines = lines.context(format!("endpoint {name}"))?;
        done.extend(lines.into_iter().map(|line| format!("{name}: {line}")));
    }
    Ok(done)
}

/// Brings what an older program has installed up to date, before anything is read of it or written.
async fn upgrade(integration: &Integration, endpoints: &[Arc<dyn Endpoint>]) -> Result<()> {
    for (at, endpoint) in endpoints.iter().enumerate() {
        let Some(tracking) = endpoint.tracking() else { continue };
        let name = &integration.endpoints[at];
        let upgraded = match tracking.upgrade(at == integration.home).await {
            Ok(upgraded) => Ok(upgraded),
            Err(error) => Err(lacking(tracking, error).await),
        };
        for line in upgraded.context(format!("endpoint {name}"))? {
            tracing::info!("{name}: {line}");
        }
    }
    Ok(())
}

/// What to do where our own tables can't be brought up to date: they may be closed to this login, which no installing mends.
async fn lacking(tracking: &dyn Tracking, error: Error) -> Error {
    let closed = error.kind() == Kind::Denied && tracking.rights(&[]).await.is_ok_and(|rights| !rights.missing.is_empty());
    if closed { error.hint("grant what this names: twinrow check") } else { by_hand(error) }
}

/// Whether the tracking objects were created by an earlier run.
async fn initialised(integration: &Integration, endpoints: &[Arc<dyn Endpoint>]) -> Result<bool> {
    let Some(store) = endpoints[integration.home].store() else { return Ok(true) };
    let setting = match store.session().await {
        Ok(mut session) => state::setting(&mut *session, &integration.name, INIT_TRACKING).await,
        Err(error) => Err(error),
    };
    match setting {
        Ok(setting) => Ok(setting.as_deref() == Some("false")),
        // Nothing of ours is there yet.
        Err(error) if matches!(error.kind(), Kind::Schema | Kind::Tracking) => Ok(false),
        Err(error) => Err(error.context(format!("endpoint {}", integration.endpoints[integration.home]))),
    }
}

/// Somebody else's promise to be alive, if it still holds.
async fn held_by_other(integration: &Integration, home: &dyn Endpoint, door: &dyn Door, holder: &str) -> Result<Option<Lease>> {
    let Some(store) = home.store() else { return Ok(None) };
    let lease = state::read_lease(&mut *store.session().await?, &integration.name).await?;
    Ok(lease.filter(|lease| lease.until > door.now() && lease.holder != holder))
}

/// Returns when nobody else runs the integration, or refuses. A promise longer than any was made by a clock that was ahead, or
/// is ahead of ours: whoever is alive renews it, and one that is not renewed is over.
async fn wait_for_rival(
    integration: &Integration,
    home: &dyn Endpoint,
    door: &dyn Door,
    holder: &str,
    rival: Rival,
) -> Result<()> {
    let mut watched: Option<(Lease, Instant)> = None;
    while let Some(lease) = held_by_other(integration, home, door, holder).await? {
        let ahead = lease.until > door.now() + LEASE_S;
        let renewed = watched.as_ref().is_some_and(|(before, _)| *before != lease);
        if rival == Rival::Refuse && (renewed || !ahead) {
            return Err(Error::new(Kind::Fenced, format!("{} is being run by {}", integration.name, lease.holder))
                .hint("stop it, or: twinrow run --once --take-over"));
        }
        tracing::info!("waiting for {} to let go of {}", lease.holder, integration.name);
        match watched {
            Some((_, since)) if ahead && !renewed && since.elapsed().as_secs() > LEASE_S.unsigned_abs() => return Ok(()),
            Some(_) if !renewed => {}
            _ => watched = Some((lease, Instant::now())),
        }
        tokio::time::sleep(POLL_MAX).await;
    }
    Ok(())
}

/// What to do if another process runs the integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// Refuse.
    Refuse,
    /// Wait until it is gone.
    Wait,
    /// Take over at once: its next write fails.
    TakeOver,
}

/// Told to stop before everything was done.
pub fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "told to stop: what was carried over stays, the rest is still to be done")
}

/// Whoever uninstalls an integration has the last word.
pub(super) fn uninstalled(integration: &str) -> Error {
    Error::new(Kind::Fenced, format!("{integration} was uninstalled while this process ran it"))
        .hint("twinrow run   # installs it anew")
}

impl Pipeline {
    /// As [`Pipeline::start`], by a process that ran it before: what was uninstalled meanwhile stays so.
    ///
    /// # Errors
    /// Also [`Kind::Fenced`] if it was uninstalled.
    pub async fn start_again(
        integration: Integration,
        endpoints: Vec<Arc<dyn Endpoint>>,
        door: Arc<dyn Door>,
        holder: &str,
    ) -> Result<Pipeline> {
        if !initialised(&integration, &endpoints).await? {
            return Err(uninstalled(&integration.name));
        }
        upgrade(&integration, &endpoints).await?;
        let mut pipeline = Pipeline::taken_over(integration, endpoints, door, holder, Rival::Wait).await?;
        let begun = pipeline.begin(true).await;
        pipeline.or_let_go(begun).await
    }

    /// Where it could not begin, nobody need wait for it; what went wrong is told, not that letting go did too.
    async fn or_let_go(self, begun: Result<()>) -> Result<Pipeline> {
        if begun.is_err() {
            let _ = self.release().await;
        }
        begun.map(|()| self)
    }

    /// Installs on a first run, waits its turn, takes over, and starts the links that were never started.
    pub async fn start(
        integration: Integration,
        endpoints: Vec<Arc<dyn Endpoint>>,
        door: Arc<dyn Door>,
        holder: &str,
        rival: Rival,
    ) -> Result<Pipeline> {
        upgrade(&integration, &endpoints).await?;
        if !initialised(&integration, &endpoints).await? {
            // Where there was a state, none is made instead.
            if let Some(home) = endpoints[integration.home].store() {
                check_identity(&integration, &endpoints, home).await?;
            }
            for line in install(&integration, &endpoints).await? {
                tracing::info!("{line}");
            }
        }
        let mut pipeline = Pipeline::taken_over(integration, endpoints, door, holder, rival).await?;
        let begun = pipeline.begin(false).await;
        pipeline.or_let_go(begun).await
    }

    async fn taken_over(
        integration: Integration,
        endpoints: Vec<Arc<dyn Endpoint>>,
        door: Arc<dyn Door>,
        holder: &str,
        rival: Rival,
    ) -> Result<Pipeline> {
        if rival != Rival::TakeOver {
            wait_for_rival(&integration, &*endpoints[integration.home], &*door, holder, rival).await?;
        }
        Pipeline::take_over(integration, endpoints, door, holder).await
    }

    /// What a run begins with, once it is known which links go. `again`: this process ran it before.
    async fn begin(&mut self, again: bool) -> Result<()> {
        self.examine(again).await?;
        self.check_maps().await?;
        self.start_links().await?;
        self.note_places().await?;
        self.compare_changed_links().await?;
        self.find_away().await?;
        self.inspect().await?;
        self.renew_cursors().await
    }

    /// Links without cursors: capture is on, so take the cursor, then compare everything (A77).
    async fn start_links(&mut self) -> Result<()> {
        let integration = self.integration.clone();
        let mut session = self.home_session().await?;
        let mut new: Vec<(&Link, Both<bool>)> = Vec::new();
        for link in self.going().into_iter().map(|at| &integration.links[at]) {
            let cursors = state::cursors(&mut *session, link).await?;
            if cursors.source.is_none() || cursors.target.is_none() {
                new.push((link, Both::from_fn(|side| cursors[side].is_none())));
            }
        }
        drop(session);
        if new.is_empty() {
            return Ok(());
        }
        let mut cursors = Vec::new();
        for (link, missing) in &new {
            for side in Side::BOTH.into_iter().filter(|side| missing[*side]) {
                let endpoint = &self.endpoints[link.endpoint[side]];
                let table = link.collection[side].table.clone();
                if let Some(tracking) = endpoint.tracking() {
                    // A link added to an integration that runs: its objects may not be there yet.
                    tracking.install(std::slice::from_ref(&table), link.endpoint[side] == integration.home).await?;
                    for position in tracking.register(&integration.name, &[table]).await? {
                        cursors.push((link.number, side, position));
                    }
                }
            }
        }
        self.door.step("start.registered").await?;
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::write_cursors(&mut *tx, &cursors).await?;
        for (link, _) in &new {
            let scan = Scan { link: link.number, part: ScanPart::Source, after: None, asked: self.door.now() };
            state::write_scan(&mut *tx, &scan).await?;
        }
        state::write_setting(&mut *tx, &integration.name, INIT_TRACKING, "false").await?;
        tx.commit().await?;
        self.cursors.fill(None);
        self.door.step("start.recorded").await
    }

    /// Runs cycles until nothing more moves, or nothing moves but what others write meanwhile; `progress` hears of each.
    pub async fn run_once(&mut self, progress: &mut (dyn FnMut(&Counts) + Send)) -> Result<Counts> {
        let (_tell, never) = tokio::sync::watch::channel(false);
        self.run_once_until(&never, progress).await
    }

    /// As [`Pipeline::run_once`], unless `stop` says so before.
    ///
    /// # Errors
    /// Also [`Kind::Interrupted`]: between two cycles, with what they did committed.
    pub async fn run_once_until(
        &mut self,
        stop: &tokio::sync::watch::Receiver<bool>,
        progress: &mut (dyn FnMut(&Counts) + Send),
    ) -> Result<Counts> {
        let started = self.door.now();
        let mut run = self.record_run(None, started, &Counts::default()).await?;
        let mut total = Counts::default();
        self.catch_up().await?;
        let (mut fruitless, mut caught_up) = (0, 0);
        self.look_again = true;
        while fruitless < FRUITLESS_MAX && caught_up < CAUGHT_UP_MAX {
            if *stop.borrow() {
                return Err(interrupted());
            }
            // Nothing that is due may be left over.
            self.look_again = true;
            let counts = self.cycle_or_repair().await?;
            self.compact_now_and_then(counts.more).await?;
            total.add(&counts);
            progress(&total);
            fruitless = match moved(&counts) {
                true => 0,
                false if counts.total().busy > 0 => fruitless + 1,
                false => break,
            };
            // (Also who waited for what was just written, and is due at once.)
            let left = counts.more || self.look_again || counts.total().waiting + counts.total().busy > 0;
            caught_up = if left { 0 } else { caught_up + 1 };
            self.beat().await?;
        }
        self.count_left(&mut total).await?;
        run.ended = Some(self.door.now());
        self.record_run(Some(run), started, &total).await?;
        Ok(total)
    }

    /// What is left when a run ends is counted as it stands then. A run ends though records are busy: it says so.
    async fn count_left(&self, total: &mut Counts) -> Result<()> {
        let mut session = self.home_session().await?;
        for link in &self.integration.links {
            let left = state::left(&mut *session, link).await?;
            total.leave(&link.name, left);
            let busy = left.busy;
            if busy > 0 {
                let why = "in use by other transactions, or changed while they were read";
                let name = &link.name;
                tracing::warn!("link {name}: {busy} record(s) are {why}: the next run tries them again. Next: twinrow held list");
            }
        }
        Ok(())
    }

    /// Runs cycles until `stop` says so; `progress` hears of each that did something.
    ///
    /// # Errors
    /// The first error; the caller decides by its kind whether to start again.
    pub async fn run(
        &mut self,
        stop: &mut tokio::sync::watch::Receiver<bool>,
        progress: &mut (dyn FnMut(&Counts) + Send),
    ) -> Result<()> {
        match self.run_on(stop, progress).await {
            Err(error) => Err(self.overtaken(error).await),
            ended => ended,
        }
    }

    async fn run_on(
        &mut self,
        stop: &mut tokio::sync::watch::Receiver<bool>,
        progress: &mut (dyn FnMut(&Counts) + Send),
    ) -> Result<()> {
        self.catch_up().await?;
        let (mut pause, mut inspected, mut beaten) = (POLL_MIN, 0, 0);
        while !*stop.borrow() {
            let now = self.door.now();
            if passed(inspected, now, INSPECT_EVERY_S) {
                self.inspect().await?;
                self.inspect_columns().await?;
                self.look_again().await?;
                inspected = now;
            }
            let counts = self.cycle_or_repair().await?;
            self.compact_now_and_then(counts.more).await?;
            if moved(&counts) {
                progress(&counts);
                pause = POLL_MIN;
            } else {
                // A change waits for a fifth of the quiet before it at most.
                pause = (pause + pause / 4).min(POLL_MAX);
            }
            if passed(beaten, now, LEASE_S / 3) {
                self.beat().await?;
                beaten = now;
            }
            if !counts.more {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = stop.changed() => {}
                }
            }
        }
        Ok(())
    }

    pub(super) async fn beat(&self) -> Result<()> {
        let mut session = self.home_session().await?;
        state::beat(&mut *session, &self.fence.integration, self.fence.epoch, self.door.now() + LEASE_S).await
    }

    /// Lets go: the next process need not wait.
    pub async fn release(&self) -> Result<()> {
        let mut session = self.home_session().await?;
        state::beat(&mut *session, &self.fence.integration, self.fence.epoch, 0).await
    }

    /// Records a run, and the time before its reading began (S4-62).
    async fn record_run(&mut self, run: Option<Run>, started: i64, counts: &Counts) -> Result<Run> {
        let counts = serde_json::to_string(counts).unwrap_or_default();
        let run = match run {
            Some(run) => Run { counts, ..run },
            None => Run { id: self.next_id(), kind: "incremental".into(), started, ended: None, counts },
        };
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::write_run(&mut *tx, &self.fence.integration, &run).await?;
        state::write_setting(&mut *tx, &self.fence.integration, LAST_SYNC_TIME, &started.to_string()).await?;
        tx.commit().await?;
        Ok(run)
    }
}

/// Whether a cycle got anywhere.
fn moved(counts: &Counts) -> bool {
    let total = counts.total();
    counts.more
        || counts.entries > 0
        || counts.writes() > 0
        || total.linked + total.agreed + total.ended + total.kept + total.waiting + total.held > 0
}
