//! Logs that somebody does not read for a while, we ourselves or another: they are kept short, and a backlog that is
//! longer than `log_max` becomes a full compare.

use super::capture::Moment;
use super::clock::passed;
use super::stopped::of_a_link;
use super::takeover::LEASE_S;
use super::{Mode, Pipeline};
use crate::endpoint::Tracked;
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Both, Entry, KeyBytes, Link, Op, Side};
use crate::reconcile::Dirty;
use crate::state;

/// How often a bite is taken of the logs while a process runs, in seconds.
const COMPACT_EVERY_S: i64 = 5;

/// The same while there is more to read: what is read goes from the log by itself.
const COMPACT_BUSY_EVERY_S: i64 = 60;

impl Pipeline {
    /// Before the first reading: what waits is measured, and compacted where that is more than `log_max`. (To read a
    /// log once is less work than to look for what could go from it.)
    ///
    /// Of a log that is longer even then, updates are not looked into one by one: the full compare
    /// that is asked for here, before anything of the log is read, finds them. Deletes, renames and inserts are
    /// read as ever: they are evidence, which a compare can't replace (rules 2 and 6, C4).
    pub(super) async fn catch_up(&mut self) -> Result<()> {
        if self.mode == Mode::Plan {
            return Ok(());
        }
        self.overlong = self.measure().await?;
        if self.overlong_links().is_empty() {
            // What is about to be read need not be looked through now.
            self.compacted_at = self.door.now();
            return Ok(());
        }
        self.compact_whole().await?;
        self.overlong = self.measure().await?;
        let links = self.overlong_links();
        for (at, side) in
            links.iter().flat_map(|at| Side::BOTH.map(|side| (*at, side))).filter(|(at, side)| self.overlong[*at][*side])
        {
            let (link, log_max) = (&self.integration.links[at], self.integration.log_max);
            let (link, endpoint) = (&link.name, &self.integration.endpoints[link.endpoint[side]]);
            tracing::warn!(link, endpoint, log_max, "the backlog is longer than log_max: a full compare instead");
        }
        if !links.is_empty() {
            self.ask_scan(&links).await?;
        }
        Ok(())
    }

    /// The places of links with a backlog longer than `log_max`.
    fn overlong_links(&self) -> Vec<usize> {
        (0..self.overlong.len()).filter(|at| self.overlong[*at].source || self.overlong[*at].target).collect()
    }

    /// Every log to its end; who waits for this process to be gone sees that it lives.
    async fn compact_whole(&mut self) -> Result<()> {
        let mut beaten = self.door.now();
        while self.compact().await? {
            if passed(beaten, self.door.now(), LEASE_S / 3) {
                self.beat().await?;
                beaten = self.door.now();
            }
        }
        Ok(())
    }

    /// Per link and side, whether more than `log_max` entries wait.
    async fn measure(&self) -> Result<Vec<Both<bool>>> {
        let integration = self.integration.clone();
        let mut overlong = vec![Both::default(); integration.links.len()];
        let mut session = self.home_session().await?;
        for (at, link) in self.going().into_iter().map(|at| (at, &integration.links[at])) {
            let mut cursors = state::cursors(&mut *session, link).await?;
            for side in Side::BOTH {
                let tracked = Tracked { collection: link.collection[side].clone(), since: cursors[side].take() };
                let name = &integration.endpoints[link.endpoint[side]];
                let endpoint = &self.endpoints[link.endpoint[side]];
                let waiting = match endpoint.backlog(&[tracked], integration.log_max).await {
                    Err(error) if passes(&error) => continue,
                    other => other.context(format!("endpoint {name}"))?,
                };
                overlong[at][side] = waiting.iter().any(|waiting| *waiting > integration.log_max);
            }
        }
        Ok(overlong)
    }

    /// One bite of every log; whether there is more to do.
    async fn compact(&mut self) -> Result<bool> {
        let integration = self.integration.clone();
        self.compacted_at = self.door.now();
        let mut more = false;
        for (at, endpoint) in self.endpoints.clone().iter().enumerate() {
            match endpoint.compact(&self.fence, &self.tables_kept_short(at)).await {
                // Another time; or the cycle meets it too, and has it repaired.
                Err(error) if passes(&error) => tracing::debug!(endpoint = integration.endpoints[at], "{error}"),
                other => more |= other.context(format!("endpoint {}", integration.endpoints[at]))?,
            }
        }
        Ok(more)
    }

    /// Between two cycles, now and then, and more rarely while there is more to read: for consumers that are away. No
    /// window is open.
    pub(super) async fn compact_now_and_then(&mut self, more: bool) -> Result<()> {
        let every = if more { COMPACT_BUSY_EVERY_S } else { COMPACT_EVERY_S };
        if !passed(self.compacted_at, self.door.now(), every) {
            return Ok(());
        }
        self.compact().await.map(|_| ())
    }

    /// While an endpoint is out of reach no cycle runs, and the logs of the others grow: they are kept short. What
    /// can't be done is left: this is no moment for more errors.
    pub async fn compact_what_is_in_reach(&self) {
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            let tables = self.tables_kept_short(at);
            while let Ok(true) = endpoint.compact(&self.fence, &tables).await {}
        }
    }

    /// Takes keys that were only updated off the dirty keys of an overlong log: the compare that was asked for looks at
    /// all rows, and its first page is read when the log has been read to its end, or later.
    pub(super) fn leave_to_compare(&mut self, moment: &Moment, at: usize, link: &Link, dirty: &mut Both<Vec<Dirty>>) {
        for side in Side::BOTH {
            if self.overlong[at][side] {
                let entries = moment.entries_of(at, link, side);
                dirty[side] = without_updates(std::mem::take(&mut dirty[side]), &entries);
                self.overlong[at][side] = moment.windows[link.endpoint[side]].more();
            }
        }
    }
}

/// Whether an error is no reason to stop: none of this has to be done now.
fn passes(error: &Error) -> bool {
    error.kind() == Kind::Retry || of_a_link(error)
}

/// Without the keys that were only updated.
pub(super) fn without_updates(dirty: Vec<Dirty>, entries: &[Entry]) -> Vec<Dirty> {
    let mut told: Vec<KeyBytes> = Vec::new();
    for entry in entries {
        match &entry.op {
            Op::Update | Op::Truncate => {}
            Op::Rename { to } => told.extend([entry.key.encode(), to.encode()]),
            Op::Insert | Op::Delete | Op::Replace | Op::PutBack | Op::Return { .. } => told.push(entry.key.encode()),
        }
    }
    told.sort_unstable();
    dirty.into_iter().filter(|dirty| told.binary_search(&dirty.key).is_ok()).collect()
}
