//! The cycle itself: every worklist through the same batch, then close and acknowledge.

use std::collections::VecDeque;

use super::apply::Fate;
use super::batch::{Batch, Queue};
use super::capture::Moment;
use super::counts::count;
use super::finish::todo_of;
use super::item::Todo;
use super::run::uninstalled;
use super::takeover::restored_meanwhile;
use super::{BATCH, Counts, Mode, Phase, Pipeline};
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Both, Deletes, KeyBytes, Link, Pair, Side, Work};
use crate::sql::Session;
use crate::state;

/// What is left of a run's worklists.
pub(super) struct Doing<'a> {
    pub(super) session: &'a mut dyn Session,
    pub(super) moment: &'a mut Moment,
    pub(super) counts: &'a mut Counts,
}

impl Pipeline {
    /// Runs one cycle: everything the logs hold up to the limit, everything that is due, one page of each
    /// full compare. Returns what it did.
    ///
    /// Links whose logs are quiet cost nothing: their worklists are looked at once a second, or at once after a
    /// cycle that left something to be done.
    ///
    /// # Errors
    /// [`Kind::Fenced`](crate::error::Kind): stop. [`Kind::InDoubt`](crate::error::Kind) and
    /// [`Kind::Retry`](crate::error::Kind): take over again. Others: tell a person.
    pub async fn cycle(&mut self) -> Result<Counts> {
        match self.one_cycle().await {
            Err(error) => Err(self.overtaken(error).await),
            counts => counts,
        }
    }

    /// A process that was overtaken while it stood still meets logs and pairs that moved on without it, or nothing at all:
    /// that it was overtaken is the error, not what it met (I8).
    pub(super) async fn overtaken(&self, error: Error) -> Error {
        let lease = async { state::read_lease(&mut *self.home_session().await?, &self.fence.integration).await };
        match lease.await {
            Ok(Some(lease)) if lease.epoch > self.fence.epoch => {
                Error::new(Kind::Fenced, format!("{} has taken this integration over", lease.holder))
                    .hint(format!("twinrow status   # shows who runs {}", self.fence.integration))
            }
            // A fence that is not ours any more, though nobody took it.
            Ok(Some(_)) if error.kind() == Kind::Fenced => restored_meanwhile(&error),
            Ok(Some(_)) => error,
            Ok(None) => uninstalled(&self.fence.integration),
            Err(gone) if matches!(gone.kind(), Kind::Schema | Kind::Tracking) => uninstalled(&self.fence.integration),
            Err(_) => error,
        }
    }

    async fn one_cycle(&mut self) -> Result<Counts> {
        self.cycle += 1;
        self.in_hand = None;
        self.left.clear();
        self.split_until = None;
        self.ahead = None;
        self.relied.clear();
        self.refused.clear();
        self.blocked.clear();
        self.echoes.next_cycle();
        self.restless.next_cycle(self.cycle, self.door.now());
        self.timings.enter(Phase::Reading);
        self.mind_the_clock().await?;
        self.resolve_intents().await?;
        let mut counts = Counts::default();
        let mut session = self.home_session().await?;
        let mut moment = self.capture(&mut *session).await?;
        counts.entries = moment.entries as u64;
        let mut doing = Doing { session: &mut *session, moment: &mut moment, counts: &mut counts };
        let now = self.door.now();
        let thorough = self.look_again || now != self.looked_at;
        self.look_again = false;
        self.run_links(&mut doing, thorough).await?;
        if thorough {
            self.looked_at = now;
        }
        let total = counts.total();
        self.look_again |= counts.more || total.busy + total.waiting > 0;
        let more = moment.more;
        self.timings.enter(Phase::Acknowledging);
        self.close(&moment, &counts).await?;
        drop(session);
        self.acknowledge(&moment).await?;
        counts.more |= more;
        self.timings.enter(Phase::Idle);
        Ok(counts)
    }

    pub(super) async fn run_links(&mut self, doing: &mut Doing<'_>, thorough: bool) -> Result<()> {
        let integration = self.integration.clone();
        let dirty = &doing.moment.dirty;
        let busy = |at: &usize| thorough || !dirty[*at].source.is_empty() || !dirty[*at].target.is_empty();
        let busy: Vec<usize> = self.going().into_iter().filter(busy).collect();
        if self.mode == Mode::Plan {
            // What one link may write may depend on what the brake of another one keeps.
            for (at, link) in busy.iter().map(|at| (*at, &integration.links[*at])) {
                self.in_hand = Some(at);
                self.guard(doing, at, link).await.context(format!("link {}", link.name))?;
            }
        }
        for at in busy.iter().copied() {
            let link = &integration.links[at];
            self.in_hand = Some(at);
            self.run_link(doing, at, link).await.context(format!("link {}", link.name))?;
            self.exchange(doing, at, link).await.context(format!("link {}", link.name))?;
        }
        // Deletes last, children before parents.
        for at in busy.into_iter().rev() {
            let link = &integration.links[at];
            if link.deletes == Deletes::Delete {
                self.in_hand = Some(at);
                self.has_work = true;
                self.run_due(doing, at, link, true).await.context(format!("link {}", link.name))?;
                self.exchange(doing, at, link).await.context(format!("link {}", link.name))?;
            }
        }
        self.in_hand = None;
        match self.mode {
            Mode::Apply => self.untie(doing).await,
            Mode::Plan => self.plan_waiting(doing).await,
        }
    }

    async fn run_link(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        if self.mode == Mode::Plan {
            return self.plan_changes(doing, at, link).await;
        }
        self.recheck(doing, at, link).await?;
        self.guard(doing, at, link).await?;
        self.run_dirty(doing, at, link).await?;
        self.run_due(doing, at, link, false).await?;
        if link.deletes != Deletes::Delete {
            self.run_due(doing, at, link, true).await?;
        }
        self.run_scan(doing, at, link).await?;
        self.settle_changes(doing, at, link).await
    }

    pub(super) async fn run_dirty(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        let dirty = std::mem::take(&mut doing.moment.dirty[at]);
        let mut todos: VecDeque<Todo> = VecDeque::with_capacity(dirty.source.len() + dirty.target.len());
        for (side, keys) in [(Side::Source, dirty.source), (Side::Target, dirty.target)] {
            todos.extend(keys.into_iter().map(|dirty| Todo::dirty(side, dirty)));
        }
        while !todos.is_empty() {
            let mut batch: Vec<Todo> = todos.drain(..todos.len().min(self.door.batch())).collect();
            if self.mode == Mode::Plan {
                batch.retain(|todo| !self.supposed.met(link, todo.name()));
            }
            let mut next: Both<Vec<KeyBytes>> = Both::default();
            for todo in todos.iter().take(self.fit(link)).filter(|todo| !self.knows_echo(link, todo)) {
                next[todo.side].push(todo.key.clone());
            }
            doing.moment.next = (!todos.is_empty()).then_some((at, next));
            self.run_batch(doing, at, link, batch, Vec::new()).await?;
        }
        self.ahead = None;
        Ok(())
    }

    pub(super) async fn run_due(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link, gone: bool) -> Result<()> {
        if gone && self.comparing.contains(&link.number) {
            return Ok(());
        }
        if self.mode == Mode::Plan {
            return self.plan_listed(doing, at, link, gone).await;
        }
        let (now, cycle) = (self.door.now(), self.cycle);
        // While a brake holds, what was lost on its side waits; the other side's is not held up by it.
        let holds = |side: &Side| gone && self.holds_lost(link, side.other());
        let braked: Vec<Side> = Side::BOTH.into_iter().filter(holds).collect();
        if !braked.is_empty() {
            if self.children_may_leave(doing, at).await? {
                return Ok(());
            }
            let due = |work: &Work| {
                let waits = braked.contains(&work.side) && work.approved.is_none();
                work.reason.is_lost() == gone && work.next_try <= now && work.cycle != cycle && !waits
            };
            return self.run_listed(doing, at, link, due).await;
        }
        loop {
            let due = state::due(doing.session, link, self.door.now(), self.cycle, gone, BATCH).await?;
            if due.is_empty() || gone && self.children_may_leave(doing, at).await? {
                return Ok(());
            }
            self.run_batch(doing, at, link, due.into_iter().map(todo_of).collect(), Vec::new()).await?;
        }
    }

    /// Some of the worklist, read once, page by page: for what stays on it.
    pub(super) async fn run_listed(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        due: impl Fn(&Work) -> bool,
    ) -> Result<()> {
        let mut after = None;
        loop {
            let page = state::list_work(doing.session, link, after, BATCH as i64).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.side, last.name()));
            let due: Vec<Todo> = page.into_iter().filter(&due).map(todo_of).collect();
            self.run_batch(doing, at, link, due, Vec::new()).await?;
        }
    }

    /// So many records of a link are decided together as had room in memory the last time, or twice as many.
    pub(super) fn fit(&self, link: &Link) -> usize {
        let most = self.door.batch();
        self.fit.get(&link.number).map_or(most, |fit| fit.saturating_mul(2).clamp(1, most))
    }

    /// What has room in memory together is decided together: how many records that are is seen when they are read.
    pub(super) async fn run_batch(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        mut todos: Vec<Todo>,
        pairs: Vec<Pair>,
    ) -> Result<()> {
        for todo in &mut todos {
            todo.pos = todo.pos.max(doing.moment.last(at, todo.side, &todo.key));
        }
        let mut queue = Queue { todos, pairs };
        while queue.len() > 0 {
            let part = queue.take(self.fit(link));
            let size = part.len();
            let later = match self.mode {
                Mode::Plan => self.plan_batch(doing, at, link, part, true).await?,
                Mode::Apply => self.apply_batch(doing, at, link, part).await?,
            };
            // As many as were asked for: next time more.
            if later.len() > 0 || size == self.fit(link) {
                self.fit.insert(link.number, size.saturating_sub(later.len()));
            }
            queue.put_back(later);
        }
        Ok(())
    }

    /// One batch: decide, then write what was decided, then write down what is unfinished. Returns what had no room.
    async fn apply_batch(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link, queue: Queue) -> Result<Queue> {
        let mut batch = self.decide(doing.session, doing.moment, at, queue).await?;
        let later = std::mem::take(&mut batch.later);
        self.look_ahead(doing.moment);
        tokio::join!(self.looked_ahead(), Box::pin(self.write_batch(doing, at, link, batch, false))).1?;
        Ok(later)
    }

    /// The second half of it. `last`: nothing of it is decided once more in this cycle.
    pub(super) async fn write_batch(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        mut batch: Batch,
        last: bool,
    ) -> Result<()> {
        self.hold_unsettled(link, &mut batch);
        self.brake(link, &mut batch);
        let mut fates = vec![Fate::Open; batch.items.len()];
        self.wait_for_children(doing.session, at, &batch, &mut fates).await?;
        // Where both sides are written, the database that is not the state's first (step 7).
        let first = if self.is_home(link, Side::Target) { Side::Source } else { Side::Target };
        let mut again = Vec::new();
        self.timings.enter(Phase::Writing);
        for side in [first, first.other()] {
            match self.endpoints[link.endpoint[side]].conditional() {
                Some(_) => self.write_app(doing.moment, at, side, &mut batch, &mut fates).await?,
                None => again.extend(self.write_side(doing.moment, at, side, &mut batch, &mut fates).await?),
            }
        }
        self.timings.enter(Phase::Recording);
        self.record_rest(at, &mut batch, &mut fates).await?;
        if fates.contains(&Fate::Written) {
            self.mapped.insert(link.number);
        }
        for (item, _) in batch.items.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Written) {
            self.settle_survivor(link, item);
        }
        self.touch(&batch.items);
        let again = if last { Vec::new() } else { self.may_try_again(&batch, again) };
        count(doing.counts.link(&link.name), &batch, &fates, &again);
        self.try_again(&batch, &again);
        self.finish(doing.session, link, &batch, &fates).await
    }
}
