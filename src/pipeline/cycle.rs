//! The cycle itself: every worklist through the same batch, then close and acknowledge.

use std::collections::HashSet;

use super::apply::{Fate, decision};
use super::batch::Batch;
use super::capture::Moment;
use super::item::Todo;
use super::{BATCH, Counts, LinkCounts, Mode, Pipeline};
use crate::endpoint::Acknowledge;
use crate::error::{Context, Result};
use crate::model::{Both, Deletes, KeyBytes, Link, Pair, Reason, Side, Work, waits_for};
use crate::reconcile::{Action, Cause, Situation};
use crate::sql::{Cell, Session};
use crate::state;

/// Cursors move at least so often even if nothing happened, so that logs can be pruned, in seconds.
const CLOSE_EVERY_S: i64 = 10;

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
        self.cycle += 1;
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
        self.close(&moment, &counts).await?;
        drop(session);
        self.acknowledge(&moment).await?;
        counts.more |= more;
        Ok(counts)
    }

    /// Counts what a cycle would do, without doing it.
    pub async fn plan(&mut self) -> Result<Counts> {
        self.mode = Mode::Plan;
        let planned = self.plan_all().await;
        self.mode = Mode::Apply;
        planned
    }

    async fn plan_all(&mut self) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut session = self.home_session().await?;
        let mut moment = self.capture(&mut *session).await?;
        counts.entries = moment.entries as u64;
        let mut doing = Doing { session: &mut *session, moment: &mut moment, counts: &mut counts };
        self.run_links(&mut doing, true).await?;
        Ok(counts)
    }

    async fn run_links(&mut self, doing: &mut Doing<'_>, thorough: bool) -> Result<()> {
        let integration = self.integration.clone();
        let busy: Vec<bool> =
            doing.moment.dirty.iter().map(|dirty| thorough || !dirty.source.is_empty() || !dirty.target.is_empty()).collect();
        for (at, link) in integration.links.iter().enumerate().filter(|(at, _)| busy[*at]) {
            self.run_link(doing, at, link).await.context(format!("link {}", link.name))?;
        }
        // Deletes last, children before parents.
        for (at, link) in integration.links.iter().enumerate().rev().filter(|(at, _)| busy[*at]) {
            if link.deletes == Deletes::Delete {
                self.has_work = true;
                self.run_due(doing, at, link, true).await.context(format!("link {}", link.name))?;
            }
        }
        Ok(())
    }

    async fn run_link(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        self.guard(doing, at, link).await?;
        self.run_folded(doing, at, link).await?;
        if self.mode == Mode::Plan && state::scan(doing.session, link).await?.is_some() {
            // The compare meets every record once; the log and the worklist would count some twice.
            return self.run_scan(doing, at, link).await;
        }
        self.run_dirty(doing, at, link).await?;
        self.run_due(doing, at, link, false).await?;
        if link.deletes != Deletes::Delete {
            self.run_due(doing, at, link, true).await?;
        }
        self.run_scan(doing, at, link).await
    }

    /// When only planning: pairs that folding would have marked.
    async fn run_folded(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        let pairs = std::mem::take(&mut doing.moment.folded[at]);
        if pairs.is_empty() {
            return Ok(());
        }
        self.run_batch(doing, at, link, Vec::new(), pairs).await
    }

    async fn run_dirty(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        let dirty = std::mem::take(&mut doing.moment.dirty[at]);
        let mut todos: Vec<Todo> = Vec::with_capacity(dirty.source.len() + dirty.target.len());
        for (side, keys) in [(Side::Source, dirty.source), (Side::Target, dirty.target)] {
            todos.extend(keys.into_iter().map(|dirty| Todo::dirty(side, dirty)));
        }
        while !todos.is_empty() {
            let rest = todos.split_off(todos.len().min(BATCH));
            self.run_batch(doing, at, link, todos, Vec::new()).await?;
            todos = rest;
        }
        Ok(())
    }

    async fn run_due(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link, gone: bool) -> Result<()> {
        if gone && self.comparing.contains(&link.number) {
            return Ok(());
        }
        let (now, cycle) = (self.door.now(), self.cycle);
        // While a brake holds, what was lost on its side waits; the other side's is not held up by it.
        let braked: Vec<Side> = Side::BOTH.into_iter().filter(|side| gone && self.is_braked(link, side.other())).collect();
        let plan = self.mode == Mode::Plan;
        if plan || !braked.is_empty() {
            let due = |work: &Work| {
                let listed = plan || work.cycle != cycle;
                (work.reason == Reason::Gone) == gone && work.next_try <= now && listed && !braked.contains(&work.side)
            };
            return self.run_listed(doing, at, link, due).await;
        }
        loop {
            let due = state::due(doing.session, link, self.door.now(), self.cycle, gone, BATCH).await?;
            if due.is_empty() {
                return Ok(());
            }
            self.run_batch(doing, at, link, due.into_iter().map(todo_of).collect(), Vec::new()).await?;
        }
    }

    /// Some of the worklist, read once, page by page: for what stays on it.
    async fn run_listed(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link, due: impl Fn(&Work) -> bool) -> Result<()> {
        let mut after = None;
        loop {
            let page = state::list_work(doing.session, link, after, BATCH as i64).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.side, last.key.clone()));
            let due: Vec<Todo> = page.into_iter().filter(&due).map(todo_of).collect();
            self.run_batch(doing, at, link, due, Vec::new()).await?;
        }
    }

    /// One batch: decide, then write what was decided, then write down what is unfinished.
    pub(super) async fn run_batch(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        mut todos: Vec<Todo>,
        pairs: Vec<Pair>,
    ) -> Result<()> {
        if todos.is_empty() && pairs.is_empty() {
            return Ok(());
        }
        for todo in &mut todos {
            todo.pos = todo.pos.max(doing.moment.last(at, todo.side, &todo.key));
        }
        if self.mode == Mode::Plan {
            return self.plan_batch(doing, at, link, todos, pairs, true).await;
        }
        let mut batch = self.decide(doing.session, doing.moment, at, todos, pairs).await?;
        self.hold_unsettled(link, &mut batch);
        self.brake(link, &mut batch);
        let mut fates = vec![Fate::Open; batch.items.len()];
        // Where both sides are written, the database that is not the state's first (step 7).
        let first = if self.is_home(link, Side::Target) { Side::Source } else { Side::Target };
        for side in [first, first.other()] {
            match self.endpoints[link.endpoint[side]].conditional() {
                Some(_) => self.write_app(at, side, &mut batch, &mut fates).await?,
                None => self.write_side(doing.moment, at, side, &mut batch, &mut fates).await?,
            }
        }
        self.record_rest(at, &mut batch, &mut fates).await?;
        count(doing.counts.link(&link.name), &batch, &fates);
        self.finish(doing.session, link, &batch, &fates).await
    }

    /// Counts what a batch would do; `twins`: also those that are found.
    pub(super) async fn plan_batch(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        todos: Vec<Todo>,
        pairs: Vec<Pair>,
        twins: bool,
    ) -> Result<()> {
        let mut batch = self.decide(doing.session, doing.moment, at, todos, pairs).await?;
        self.brake(link, &mut batch);
        batch.items.retain(|item| twins || decision(item).is_none_or(|decision| decision.situation != Situation::Found));
        let fates = vec![Fate::Open; batch.items.len()];
        count(doing.counts.link(&link.name), &batch, &fates);
        Ok(())
    }

    /// Unfinished keys go on the worklist, finished ones leave it, children of new twins are released.
    /// Before the cursor moves (rule 1).
    async fn finish(&mut self, session: &mut dyn Session, link: &Link, batch: &Batch, fates: &[Fate]) -> Result<()> {
        let (mut unfinished, mut finished, mut parents) = (Vec::new(), Vec::new(), Vec::new());
        let mut deletes = Both::<u64>::default();
        for todo in &batch.settled {
            if todo.recorded {
                finished.push((todo.side, todo.key.clone()));
            }
        }
        for (item, fate) in batch.items.iter().zip(fates) {
            let action = decision(item).map(|decision| &decision.action);
            if let Some(work) = self.unfinished(link, item.todo.clone(), action, fate) {
                unfinished.push(work);
                continue;
            }
            if *fate == Fate::Written && !item.left_out.is_empty() {
                unfinished.push(self.work(link, &item.todo, Reason::Unfinished, "a reference is still to be filled in", None));
            } else if item.todo.recorded {
                finished.push((item.todo.side, item.todo.key.clone()));
            }
            if let (Some(Action::Delete(side, _)), Fate::Written) = (action, fate) {
                deletes[*side] += 1;
            }
            if let (Some(pair), Fate::Written) = (&item.pair, fate)
                && (matches!(action, Some(Action::Create(..))) || pair.ver == 1)
            {
                for side in Side::BOTH {
                    parents.extend(pair.key[side].as_ref().map(|key| waits_for(link.number, side, key)));
                }
            }
        }
        // A record may be unfinished under another name than the one it was met by now.
        let again = if self.has_work { other_names(batch, fates) } else { Vec::new() };
        let names: Vec<_> = again.iter().cloned().chain(unfinished.iter().map(|work| (work.side, work.key.clone()))).collect();
        let lost = lost_names(session, link, &names).await?;
        finished.extend(again.into_iter().filter(|name| !lost.contains(name)));
        for work in &mut unfinished {
            // It stands for a pair that lost this key too, and stays under the brake.
            if work.reason == Reason::Busy && lost.contains(&(work.side, work.key.clone())) {
                work.reason = Reason::Gone;
            }
        }
        self.has_work |= !unfinished.is_empty();
        // Of this batch too: a tree may come leaf first.
        self.waiting.extend(unfinished.iter().filter(|work| work.reason == Reason::Waiting).map(|work| work.link));
        let parents = if self.waiting.is_empty() { Vec::new() } else { parents };
        if unfinished.is_empty() && finished.is_empty() && parents.is_empty() && deletes == Both::default() {
            return Ok(());
        }
        // Children of other links may be due now.
        self.look_again |= !parents.is_empty();
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::delete_work(&mut *tx, link, &finished).await?;
        state::write_work(&mut *tx, &unfinished).await?;
        state::release(&mut *tx, &parents).await?;
        for side in Side::BOTH {
            if deletes[side] > 0 && !self.approved.contains(&(link.number, side)) {
                state::count_deletes(&mut *tx, link, side, self.door.now() / 3600, deletes[side]).await?;
            }
        }
        tx.commit().await?;
        self.door.step("finish.recorded").await
    }

    fn unfinished(&self, link: &Link, todo: Todo, action: Option<&Action>, fate: &Fate) -> Option<Work> {
        match (fate, action) {
            (Fate::Busy(cause), _) => Some(self.work(link, &todo, Reason::Busy, cause, None)),
            // A unique value may be on its way out: another record of the same change holds it.
            (Fate::Refused(cause), _) => {
                let reason = if todo.attempts < 2 { Reason::Busy } else { Reason::Held };
                Some(self.work(link, &todo, reason, cause, None))
            }
            (Fate::Written, _) => None,
            (Fate::Open, Some(Action::Retry)) => Some(self.work(link, &todo, Reason::Busy, "it changed while it was read", None)),
            (Fate::Open, Some(Action::Hold(Cause::Held(cause)))) if cause == super::brake::BRAKED => {
                Some(self.work(link, &todo, Reason::Braked, cause, None))
            }
            (Fate::Open, Some(Action::Hold(Cause::Held(cause)))) => Some(self.work(link, &todo, Reason::Held, cause, None)),
            (Fate::Open, Some(Action::Hold(Cause::Parent(number, side, key)))) => {
                let name = self.integration.links.iter().find(|link| link.number == *number);
                let parent = key.decode().map_or_else(String::new, |key| key.to_string());
                let cause = format!("waits for {} {parent}, which has no twin yet", name.map_or("", |link| &link.name));
                Some(self.work(link, &todo, Reason::Waiting, &cause, Some(waits_for(*number, *side, key))))
            }
            (Fate::Open, _) => None,
        }
    }

    pub(super) fn work(&self, link: &Link, todo: &Todo, reason: Reason, cause: &str, waits: Option<Vec<u8>>) -> Work {
        let now = self.door.now();
        Work {
            link: link.number,
            side: todo.side,
            key: todo.key.clone(),
            reason,
            cause: cause.to_owned(),
            waits,
            attempts: 0,
            next_try: next_try(reason, todo.attempts, now),
            cycle: self.cycle,
            since: now,
        }
    }

    /// The cursors move, in one transaction after everything before them is recorded.
    async fn close(&mut self, moment: &Moment, counts: &Counts) -> Result<()> {
        let now = self.door.now();
        if counts.entries == 0 && now - self.closed_at < CLOSE_EVERY_S {
            return Ok(());
        }
        let integration = self.integration.clone();
        let mut cursors = Vec::new();
        for (at, link) in integration.links.iter().enumerate() {
            for side in Side::BOTH {
                let position = moment.windows[link.endpoint[side]].position(moment.place(at, side));
                cursors.push((link.number, side, position));
            }
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::write_cursors(&mut *tx, &cursors).await?;
        tx.commit().await?;
        for (at, sides) in cursors.chunks(2).enumerate() {
            let position = |side: usize| sides.get(side).map(|(_, _, position)| position.clone());
            self.cursors[at] = Some(Both { source: position(0), target: position(1) });
        }
        self.closed_at = now;
        self.door.step("close.recorded").await
    }

    /// What was read may be forgotten by the logs. Last; if we die before, they are only longer.
    async fn acknowledge(&mut self, moment: &Moment) -> Result<()> {
        self.remove_absorbed().await?;
        if self.closed_at != self.door.now() && moment.entries == 0 {
            return Ok(());
        }
        let integration = self.integration.clone();
        for (at, endpoint) in self.endpoints.clone().iter().enumerate() {
            let mut upto = Vec::new();
            for (link_at, link) in integration.links.iter().enumerate() {
                for side in Side::BOTH.into_iter().filter(|side| link.endpoint[*side] == at) {
                    let (window, place) = (&moment.windows[at], moment.place(link_at, side));
                    upto.push(Acknowledge {
                        table: link.collection[side].table.name.clone(),
                        position: window.position(place),
                        receipt: window.receipt(place),
                    });
                }
            }
            let name = &integration.endpoints[at];
            endpoint.acknowledge(&self.fence, &upto).await.context(format!("endpoint {name}"))?;
            self.door.step("acknowledge.done").await?;
        }
        if self.door.now() - self.seen_at >= CLOSE_EVERY_S { self.remember_fences().await } else { Ok(()) }
    }

    /// The state remembers each endpoint's fence, each endpoint the state's: what was restored from a backup
    /// shows by being behind (rule 17).
    async fn remember_fences(&mut self) -> Result<()> {
        let integration = self.integration.clone();
        let home_n = self.fence_row(integration.home).await?.1;
        let mut seen = Vec::new();
        for (at, endpoint) in self.endpoints.clone().iter().enumerate() {
            let Some(store) = endpoint.store() else { continue };
            let mut tx = store.begin(&self.fence).await?;
            let name = Cell::Text(self.fence.integration.clone());
            tx.execute("fence_home", &[vec![name, Cell::Int(self.fence.epoch), Cell::Int(home_n)]]).await?;
            tx.commit().await?;
            let (instance, n) = self.fence_row(at).await?;
            seen.push((integration.endpoints[at].clone(), instance, n));
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::write_seen(&mut *tx, &self.fence.integration, &seen).await?;
        tx.commit().await?;
        self.seen_at = self.door.now();
        Ok(())
    }

    async fn fence_row(&self, at: usize) -> Result<(String, i64)> {
        let mut session = self.store(at)?.session().await?;
        let rows = session.query("fence_read", &[vec![Cell::Text(self.fence.integration.clone())]]).await?;
        match rows.first().map(Vec::as_slice) {
            Some([_, n, instance, _]) => Ok((crate::sql::text(instance)?.to_owned(), crate::sql::int(n)?)),
            _ => Ok((String::new(), 0)),
        }
    }
}

fn todo_of(work: Work) -> Todo {
    Todo { attempts: work.attempts + 1, recorded: true, ..Todo::new(work.side, work.key) }
}

/// Those of these keys that a live pair lost: their entries on the worklist are about that pair too.
async fn lost_names(session: &mut dyn Session, link: &Link, names: &[(Side, KeyBytes)]) -> Result<HashSet<(Side, KeyBytes)>> {
    let mut lost = HashSet::new();
    for side in Side::BOTH {
        let mut keys: Vec<KeyBytes> = names.iter().filter(|(at, _)| *at == side).map(|(_, key)| key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() {
            continue;
        }
        let pairs = state::by_former(session, link, side, &keys).await?;
        lost.extend(pairs.into_iter().filter_map(|pair| Some((side, pair.former[side].clone()?))));
    }
    Ok(lost)
}

/// Under the live keys of both sides, a finished record may still stand on the worklist.
fn other_names(batch: &Batch, fates: &[Fate]) -> Vec<(Side, KeyBytes)> {
    let mut names = Vec::new();
    for (item, fate) in batch.items.iter().zip(fates) {
        let settled = match (fate, decision(item).map(|decision| &decision.action)) {
            (Fate::Written, _) => item.left_out.is_empty(),
            (Fate::Open, Some(Action::Ignore | Action::Report)) => !item.todo.recorded,
            _ => false,
        };
        let whole = |pair: &&Pair| !pair.gone(Side::Source) && !pair.gone(Side::Target);
        let Some(pair) = item.pair.as_ref().filter(|_| settled).filter(whole) else { continue };
        for side in Side::BOTH {
            names.extend(pair.key[side].iter().map(|key| (side, key.clone())));
        }
    }
    names
}

/// When to look again, in seconds since 1970: at once for what is only busy, ever more rarely for what
/// stays so.
fn next_try(reason: Reason, attempts: i64, now: i64) -> i64 {
    let doubled = |first: i64, most: i64| now + (first << attempts.clamp(0, 20)).min(most);
    match reason {
        Reason::Gone | Reason::Unfinished => 0,
        Reason::Busy if attempts < 3 => 0,
        Reason::Busy => doubled(1, 60),
        // Once more at once: two that wait for each other are only known when both wait (C15).
        Reason::Waiting if attempts == 0 => 0,
        Reason::Waiting => doubled(5, 600),
        Reason::Held => doubled(60, 3600),
        // Only an approval lifts it.
        Reason::Braked => i64::MAX,
    }
}

fn count(counts: &mut LinkCounts, batch: &Batch, fates: &[Fate]) {
    for (item, fate) in batch.items.iter().zip(fates) {
        let Some(decision) = decision(item) else { continue };
        counts.decided += 1;
        match fate {
            Fate::Busy(_) => {
                counts.busy += 1;
                continue;
            }
            Fate::Refused(_) => {
                counts.held += 1;
                continue;
            }
            Fate::Open | Fate::Written => {}
        }
        count_action(counts, &decision.action, decision.situation);
        if !matches!(decision.action, Action::Ignore) {
            let key = item.todo.key.decode().map_or_else(String::new, |key| key.to_string());
            counts.sample(decision.situation, item.todo.side, &key);
        }
    }
}

fn count_action(counts: &mut LinkCounts, action: &Action, situation: Situation) {
    if situation == Situation::Found && matches!(action, Action::Update(_)) {
        counts.linked += 1;
    }
    match action {
        Action::Ignore => {}
        Action::Report => counts.reported += 1,
        Action::Create(side, _) => *counts.created(*side) += 1,
        Action::Delete(side, changed) => {
            *counts.deleted(*side) += 1;
            counts.conflicts += u64::from(*changed);
        }
        Action::Update(update) => {
            for side in Side::BOTH {
                *counts.updated(side) += u64::from(!update.writes(side).is_empty());
            }
            counts.agreed += u64::from(update.source.is_empty() && update.target.is_empty() && situation != Situation::Found);
            counts.conflicts += u64::from(update.loser.is_some());
        }
        Action::End => counts.ended += 1,
        Action::Keep => counts.kept += 1,
        Action::Hold(Cause::Held(cause)) if cause == super::brake::BRAKED => counts.braked += 1,
        Action::Hold(Cause::Held(_)) => counts.held += 1,
        Action::Hold(Cause::Parent(..)) => counts.waiting += 1,
        Action::Retry => counts.busy += 1,
    }
}
