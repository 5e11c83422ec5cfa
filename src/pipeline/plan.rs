//! Plan: what a run would do, counted by the steps of a run and done by none of them.

use std::collections::HashSet;

use super::apply::{Fate, decision};
use super::batch::{Batch, Queue};
use super::brake::BRAKED;
use super::changes::changes;
use super::counts::{LinkCounts, count};
use super::cycle::Doing;
use super::finish::{lost_names, todo_of};
use super::item::Item;
use super::{BATCH, Counts, Mode, Pipeline};
use crate::error::Result;
use crate::model::{Deletes, Field, ForeignKey, Key, KeyBytes, Link, Normal, Reason, Side, TableName, Value, Work};
use crate::reconcile::{Action, Cause, Situation};

impl Pipeline {
    /// Counts what a run would do, without doing it: of the logs, as much as is read at a time.
    pub async fn plan(&mut self) -> Result<Counts> {
        (self.mode, self.shown, self.supposed) = (Mode::Plan, true, Box::default());
        let planned = self.plan_all().await;
        (self.mode, self.shown, self.supposed) = (Mode::Apply, false, Box::default());
        planned
    }

    async fn plan_all(&mut self) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut session = self.home_session().await?;
        let mut moment = self.capture(&mut *session).await?;
        (counts.entries, counts.more) = (moment.entries as u64, moment.more);
        let mut doing = Doing { session: &mut *session, moment: &mut moment, counts: &mut counts };
        self.run_links(&mut doing, true).await?;
        Ok(counts)
    }

    pub(super) async fn plan_link(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        // (All were guarded before the first.)
        self.has_work = true;
        if self.compare_of(doing.session, link).await?.is_some() {
            // The compare meets every record once, but for those whose loss the log or the worklist tells.
            self.run_scan(doing, at, link).await?;
        } else {
            self.run_dirty(doing, at, link).await?;
            self.run_due(doing, at, link, false).await?;
        }
        if link.deletes != Deletes::Delete {
            self.run_due(doing, at, link, true).await?;
        }
        Ok(())
    }

    /// The worklist, as a run would go through it: what is due is decided, what is not stays as it is. `gone`: what lost a
    /// side, or all else.
    pub(super) async fn plan_listed(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link, gone: bool) -> Result<()> {
        match gone {
            true => self.plan_lost(doing, at, link).await,
            false => self.plan_part(doing, at, link, |_, work| !work.reason.is_lost()).await,
        }
    }

    /// What was lost, as far as no brake holds it, and then what one does: of that, less may be left by then.
    async fn plan_lost(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        let held = |plan: &Pipeline, work: &Work| plan.keeps(link, work.side) && work.approved.is_none();
        self.plan_part(doing, at, link, |plan, work| work.reason.is_lost() && !held(plan, work)).await?;
        self.plan_part(doing, at, link, |plan, work| work.reason.is_lost() && held(plan, work)).await
    }

    /// A part of the worklist.
    async fn plan_part(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        part: impl Fn(&Pipeline, &Work) -> bool,
    ) -> Result<()> {
        let now = self.door.now();
        let mut after = None;
        loop {
            let page = self.list_work(doing.session, link, after, BATCH).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.side, last.name()));
            let open = page.into_iter().filter(|work| part(self, work));
            let open = open.filter(|work| !self.supposed.met(link, (work.side, work.name())));
            let (due, stay): (Vec<Work>, Vec<Work>) = open.partition(|work| work.next_try <= now || self.supposed.releases(work));
            for work in &stay {
                stays(doing.counts.link(&link.name), work, self.keeps(link, work.side));
            }
            self.run_batch(doing, at, link, due.into_iter().map(todo_of).collect(), Vec::new()).await?;
        }
    }

    /// Whether a brake keeps what a side has lost: it holds, or will once a compare has told how much that is.
    fn keeps(&self, link: &Link, lost: Side) -> bool {
        self.holds_lost(link, lost.other()) || self.supposed.trips(link, lost.other())
    }

    /// Counts what a batch would do; `twins`: also those that are found. Returns what had no room.
    pub(super) async fn plan_batch(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        queue: Queue,
        twins: bool,
    ) -> Result<Queue> {
        let (mut batch, later) = self.plan_decided(doing, at, link, queue).await?;
        batch.items.retain(|item| twins || decision(item).is_none_or(|decision| decision.situation != Situation::Found));
        self.supposed.meet(at, link, doing.moment, &batch.items);
        self.put_off_waiting(at, &mut batch);
        count_planned(doing.counts.link(&link.name), &batch);
        Ok(later)
    }

    /// What would be decided about some records, and what had no room.
    pub(super) async fn plan_decided(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        queue: Queue,
    ) -> Result<(Batch, Queue)> {
        let mut batch = self.decide(doing.session, doing.moment, at, queue).await?;
        self.forget_foreseen();
        for side in Side::BOTH {
            self.planned[side] += batch.items.iter().filter(|item| changes(item, side)).count() as u64;
        }
        self.brake(link, &mut batch);
        self.brake_lost(link, &mut batch);
        self.keep_above_rows(doing, at, link, &mut batch).await?;
        // A pair that lost both sides is listed under both, and decided under the first.
        let met: HashSet<i64> = batch.items.iter().filter_map(|item| item.todo.lost.filter(|_| item.pair.is_some())).collect();
        batch.items.retain(|item| item.pair.is_some() || item.todo.lost.is_none_or(|id| !met.contains(&id)));
        // Whatever else they are listed under is settled with that.
        let ends = |item: &&Item| matches!(decision(item).map(|one| &one.action), Some(Action::End));
        let ended = batch.items.iter().filter(ends).filter_map(|item| item.pair.as_ref());
        self.supposed.take_off(link, &ended.flat_map(lost_names).collect::<Vec<_>>());
        let later = std::mem::take(&mut batch.later);
        Ok((batch, later))
    }

    /// While a brake holds, a run does not look at what was lost on its side, whatever would be decided about it.
    fn brake_lost(&self, link: &Link, batch: &mut Batch) {
        let lost = batch.items.iter_mut().filter(|item| item.todo.lost.is_some() && item.todo.approved.is_none());
        for decision in lost.filter(|item| self.keeps(link, item.todo.side)).filter_map(|item| item.decision.as_mut()) {
            decision.action = Action::Hold(Cause::Held(BRAKED.to_owned()));
        }
    }

    /// Nothing goes as long as rows refer to it that stay: the server would not let it, or we would not (rule 18).
    async fn keep_above_rows(&self, doing: &mut Doing<'_>, at: usize, link: &Link, batch: &mut Batch) -> Result<()> {
        for side in Side::BOTH {
            let deletes =
                |item: &Item| matches!(decision(item).map(|one| &one.action), Some(Action::Delete(to, _)) if *to == side);
            let key = |(place, item): (usize, &Item)| Some((place, item.key[side].as_ref()?.decode()?.0));
            let going = batch.items.iter().enumerate().filter(|(_, item)| deletes(item)).filter_map(key);
            let (places, keys): (Vec<usize>, Vec<Vec<Value>>) = going.unzip();
            let links = self.integration.links.iter().enumerate();
            for (below, child) in links.filter(|(below, _)| !keys.is_empty() && self.goes(*below)) {
                for reference in references_to(child, side, at, &link.collection[side].table.name) {
                    let (window, place) = doing.moment.window(below, child, side);
                    let found = window.find(place, &reference, &keys).await?;
                    let stay = self.rows_that_stay(doing, child, side, &found).await?;
                    let above = places.iter().zip(found).filter(|(_, rows)| rows.iter().any(|row| stay.contains(&row.encode())));
                    for (place, _) in above {
                        let item = &mut batch.items[*place];
                        let situation = decision(item).map_or(Situation::Undecided, |one| one.situation);
                        item.hold(situation, format!("rows of {} refer to it, and stay", child.name));
                    }
                }
            }
        }
        Ok(())
    }

    /// Those of a link's rows that a run would leave where they are, under a parent that is gone on the other side: those that
    /// are new here, and what lost its twin and is not deleted. (All others were given another parent there.)
    async fn rows_that_stay(
        &self,
        doing: &mut Doing<'_>,
        link: &Link,
        side: Side,
        rows: &[Vec<Key>],
    ) -> Result<HashSet<KeyBytes>> {
        let mut stay: HashSet<KeyBytes> = rows.iter().flatten().map(Key::encode).collect();
        let keys: Vec<KeyBytes> = stay.iter().cloned().collect();
        let kept = link.deletes != Deletes::Delete || self.keeps(link, side.other());
        for pair in self.pairs_by_key(doing.session, link, side, &keys).await? {
            if let Some(key) = pair.key[side].as_ref().filter(|_| !pair.gone(side.other()) || !kept) {
                stay.remove(key);
            }
        }
        Ok(stay)
    }
}

/// The foreign keys by which rows of a link's side refer to this table, that of the link at `parent`: as rules to find them by.
fn references_to(link: &Link, side: Side, parent: usize, table: &TableName) -> Vec<Vec<(usize, Normal)>> {
    let collection = &link.collection[side];
    let named = |at: &usize| collection.column(*at).name.clone();
    let enforced = |parts: &[usize]| {
        let columns: Vec<String> = parts.iter().map(named).collect();
        let same = |key: &ForeignKey| key.references == *table && columns.iter().all(|column| key.columns.contains(column));
        collection.table.foreign_keys.iter().any(same)
    };
    let first = |(at, field): &(usize, &Field)| field.via == Some(parent) && field.group(at).first() == Some(at);
    let fields = link.fields.iter().enumerate().filter(first);
    let parts = fields.map(|(at, field)| if field.parts[side].is_empty() { vec![at] } else { field.parts[side].clone() });
    let rule = |parts: Vec<usize>| parts.into_iter().map(|at| (at, Normal::default())).collect();
    parts.filter(|parts| enforced(parts)).map(rule).collect()
}

/// Counts what a batch would do.
pub(super) fn count_planned(counts: &mut LinkCounts, batch: &Batch) {
    count(counts, batch, &vec![Fate::Open; batch.items.len()], &[]);
    for item in &batch.items {
        if let Some(Action::Create(to, _)) = decision(item).map(|one| &one.action) {
            // A reference that is left out first is written in a second step.
            *counts.updated(*to) += u64::from(!item.left_out.is_empty());
        }
    }
}

/// Counts what stays on the worklist as it is; `held`: a brake holds what its side has lost.
fn stays(counts: &mut LinkCounts, work: &Work, held: bool) {
    match work.reason {
        Reason::Held => {
            counts.held += 1;
            counts.holds(&work.cause, 1);
        }
        Reason::Waiting | Reason::Unfinished => counts.waiting += 1,
        Reason::Braked => counts.braked += 1,
        Reason::Gone if held => counts.braked += 1,
        Reason::Busy | Reason::Gone | Reason::Approved => counts.busy += 1,
    }
}
