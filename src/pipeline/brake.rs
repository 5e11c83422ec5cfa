//! The brake: nothing of a collection and side is applied while too many records would be lost there,
//! until a person approves exactly that set.

use super::apply::decision;
use super::batch::{Batch, Queue};
use super::changes::changes;
use super::cycle::Doing;
use super::doubt::DOUBTED;
use super::finish::todo_of;
use super::item::{Item, Todo};
use super::{Mode, Pipeline};
use crate::error::Result;
use crate::model::{Both, Fingerprint, KeyBytes, Link, Reason, Side, Work};
use crate::reconcile::{Action, Cause, SetHash, tripped};
use crate::sql::Session;
use crate::state::{self, Brake, BrakeKind};

/// The cause under which records wait for an approval.
pub(super) const BRAKED: &str = "too many records at once; waits for approval";

/// Whether a cause is that of a brake.
pub(super) fn is_of_a_brake(cause: &str) -> bool {
    cause == BRAKED || cause == DOUBTED
}

/// The rolling window, in hours.
const WINDOW_H: i64 = 24;

impl Pipeline {
    /// Before the first write to a link: may the records that lost a side be acted on?
    pub(super) async fn guard(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        let counts = self.work_counts(doing.session, link).await?;
        self.has_work = !counts.is_empty();
        for (reason, links) in [(Reason::Waiting, &mut self.waiting), (Reason::Held, &mut self.holding)] {
            links.remove(&link.number);
            links.extend(counts.keys().any(|(listed, _)| *listed == reason).then_some(link.number));
        }
        self.braked.retain(|(number, _)| *number != link.number);
        let brakes = state::brakes(doing.session, link).await?;
        let gone = counts.keys().any(|(reason, _)| *reason == Reason::Gone);
        self.comparing.remove(&link.number);
        if self.mode == Mode::Plan {
            self.foresee_missing(doing, at, link).await?;
        } else if gone && state::scan(doing.session, link).await?.is_some() {
            self.comparing.insert(link.number);
        }
        self.note_doubted(link, &brakes);
        let missing = self.supposed.missing(link);
        for lost in Side::BOTH {
            let written = lost.other();
            let waiting = counts.get(&(Reason::Gone, lost)).copied().unwrap_or(0) + missing.records[lost];
            let before = brakes.iter().find(|brake| brake.side == written && brake.kind == BrakeKind::Deletes);
            if waiting == 0 && before.is_none() {
                self.end_groundless_doubt(doing, link, lost).await?;
                continue;
            }
            if self.comparing.contains(&link.number) {
                // It may yet find some of them again: until it has ended, nothing is recorded, and nothing written there.
                if self.must_stop(doing, link, written, waiting, before).await? {
                    self.braked.push((link.number, written));
                }
                continue;
            }
            // Nothing new since it tripped, and nobody has approved.
            if before.is_some_and(|brake| brake.approved.is_none() && brake.records == waiting) {
                self.braked.push((link.number, written));
                continue;
            }
            if missing.records[lost] > 0 && self.nobody_explains(link, lost, missing.replaced) {
                self.would_trip(link, written, before);
                continue;
            }
            if self.must_stop(doing, link, written, waiting, before).await? {
                self.stop_or_release(doing, at, link, lost, waiting, before).await?;
            }
        }
        self.guard_changes(doing, at, link, &brakes, &counts).await?;
        let waits = |(reason, _): &(Reason, Side)| *reason == Reason::Braked;
        if brakes.is_empty() && self.mode == Mode::Apply && !self.is_braked(link) && counts.keys().any(waits) {
            return self.let_go(link).await;
        }
        Ok(())
    }

    /// Whether anything of a link waits for an approval, or the end of a compare.
    fn is_braked(&self, link: &Link) -> bool {
        [&self.braked, &self.halted, &self.suspended, &self.doubted]
            .into_iter()
            .flatten()
            .any(|(number, _)| *number == link.number)
    }

    /// A compare has found again what it had missed.
    async fn let_go(&mut self, link: &Link) -> Result<()> {
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::retry(&mut *tx, link, Reason::Braked).await?;
        tx.commit().await
    }

    /// When only planning: what a compare has to find before the brake trips, or holds, does not keep a run from writing all
    /// else meanwhile.
    fn would_trip(&mut self, link: &Link, written: Side, before: Option<&Brake>) {
        match self.supposed.found_late(link, written.other()) && before.is_none() {
            true => self.supposed.trip(link, written),
            false => self.braked.push((link.number, written)),
        }
    }

    /// Whether records that are missing on a side were lost to no work of its users.
    pub(super) fn nobody_explains(&self, link: &Link, lost: Side, replaced: Both<bool>) -> bool {
        replaced[lost] || self.endpoints[link.endpoint[lost]].conditional().is_some()
    }

    async fn must_stop(
        &self,
        doing: &mut Doing<'_>,
        link: &Link,
        written: Side,
        waiting: u64,
        before: Option<&Brake>,
    ) -> Result<bool> {
        if before.is_some() {
            return Ok(true);
        }
        let pairs = state::count(doing.session, link).await?;
        let recent = self.recent(doing.session, link, written, BrakeKind::Deletes).await?;
        Ok(tripped(link.brake.deletes, waiting + recent, pairs.pairs + recent))
    }

    /// What the rolling window holds.
    pub(super) async fn recent(&self, session: &mut dyn Session, link: &Link, written: Side, kind: BrakeKind) -> Result<u64> {
        let hour = self.door.now() / 3600 - WINDOW_H;
        Ok(state::recent(session, link, kind, hour).await?[written])
    }

    /// The brake holds unless the very set that waits now is the one a person approved. Where nothing waits any more,
    /// nothing is held, and nothing was approved.
    async fn stop_or_release(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        lost: Side,
        waiting: u64,
        before: Option<&Brake>,
    ) -> Result<()> {
        let written = lost.other();
        let asked = before.and_then(|brake| brake.approved.as_deref());
        let set = Waiting { written, kind: BrakeKind::Deletes, released: asked };
        let (hash, _) = self.waiting_set(doing, at, link, set).await?;
        // What a compare has yet to find is in no set.
        let approved = asked == Some(&hash) && self.supposed.missing(link).records[lost] == 0;
        if self.mode == Mode::Plan {
            match waiting == 0 || approved {
                true => {
                    self.supposed.release(link);
                    self.trust(link, lost);
                }
                false => self.would_trip(link, written, before),
            }
            return Ok(());
        }
        if approved {
            self.mark_approved(doing, at, link, set, &hash).await?;
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        if waiting == 0 || approved {
            if approved {
                state::reset_recent(&mut *tx, link, written, BrakeKind::Deletes).await?;
            }
            state::clear_brake(&mut *tx, link, written, BrakeKind::Deletes).await?;
            self.end_doubt(&mut *tx, link, lost).await?;
            state::retry(&mut *tx, link, Reason::Braked).await?;
            return tx.commit().await;
        }
        self.braked.push((link.number, written));
        // An approval of another set is void, and shown as such.
        if before.is_none_or(|brake| brake.hash != hash || brake.approved.is_some()) {
            let pairs = state::count(&mut *tx, link).await?.pairs;
            let at = self.door.now();
            let kind = BrakeKind::Deletes;
            let brake = Brake { link: link.number, side: written, kind, hash, records: waiting, pairs, at, approved: None };
            state::write_brake(&mut *tx, &brake).await?;
            tracing::error!(
                link = link.name,
                records = waiting,
                pairs,
                "the brake tripped: so many records are gone in the {lost}; nothing is written to the {written}. \
                 Next: twinrow held list   # shows them; then: twinrow approve {}",
                link.name
            );
        }
        tx.commit().await?;
        self.door.step("brake.recorded").await
    }

    /// An app says what it deletes. Records that are missing and were not deleted are no work of its users:
    /// it was emptied, restored, or shows us less (E11, rule 17). Nor are all records of a table that is another one
    /// now. However few they are, a person decides.
    pub(super) async fn brake_unexplained(&mut self, session: &mut dyn Session, link: &Link, lost: Side) -> Result<()> {
        let written = lost.other();
        self.braked.push((link.number, written));
        let kind = BrakeKind::Deletes;
        if state::brakes(session, link).await?.iter().any(|brake| brake.side == written && brake.kind == kind) {
            return Ok(());
        }
        // Of no set yet: the next cycle hashes the one that waits.
        let (hash, at) = (Vec::new(), self.door.now());
        let brake = Brake { link: link.number, side: written, kind, hash, records: 0, pairs: 0, at, approved: None };
        state::write_brake(session, &brake).await
    }

    /// Everything a brake holds: the hash of the set, and how many are in it.
    pub(super) async fn waiting_set(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        of: Waiting<'_>,
    ) -> Result<(Vec<u8>, u64)> {
        let (mut set, mut records, mut after) = (SetHash::default(), 0, None);
        while let Some(members) = self.waiting_page(doing, at, link, of, &mut after).await? {
            for item in members {
                records += u64::from(add(&mut set, &item, of.written));
            }
        }
        Ok((set.finish(), records))
    }

    /// The next of what a brake holds, each member decided as of now; `None` at the end of the worklist.
    async fn waiting_page(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        of: Waiting<'_>,
        after: &mut Option<(Side, KeyBytes)>,
    ) -> Result<Option<Vec<Item>>> {
        loop {
            let page = self.list_work(doing.session, link, after.clone(), self.fit(link)).await?;
            let Some(last) = page.last() else { return Ok(None) };
            let end = (last.side, last.name());
            let todos: Vec<Todo> = page.into_iter().filter(|work| of.names(work)).map(todo_of).collect();
            let size = todos.len();
            let (mode, shown) = (self.mode, self.shown);
            (self.mode, self.shown) = (Mode::Plan, false);
            let batch = self.decide(doing.session, doing.moment, at, Queue { todos, pairs: Vec::new() }).await;
            (self.mode, self.shown) = (mode, shown);
            let Batch { mut items, later, .. } = batch?;
            if later.len() > 0 {
                // A shorter page, whose rows have room.
                self.fit.insert(link.number, size.saturating_sub(later.len()) / 2);
                continue;
            }
            *after = Some(end);
            items.retain(|item| match of.kind {
                BrakeKind::Deletes => item.todo.lost.is_some(),
                BrakeKind::Changes | BrakeKind::OtherTable => changes(item, of.written),
            });
            return Ok(Some(items));
        }
    }

    /// What was approved stays approved, whatever it waits for then: each record for itself, as it was decided
    /// about. Should this process end before all are marked, they are still the same set.
    async fn mark_approved(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link, of: Waiting<'_>, set: &[u8]) -> Result<()> {
        let mut after = None;
        while let Some(members) = self.waiting_page(doing, at, link, of, &mut after).await? {
            let marked = |item: &Item| {
                let (side, name) = item.todo.name();
                Some((side, name, [own_hash(item, of.written)?.as_slice(), set].concat()))
            };
            let marks: Vec<_> = members.iter().filter_map(marked).collect();
            if !marks.is_empty() {
                let mut tx = self.home()?.begin(&self.fence).await?;
                state::approve_work(&mut *tx, link, &marks).await?;
                tx.commit().await?;
                self.door.step("brake.approved").await?;
            }
        }
        Ok(())
    }

    /// Whether a brake holds what was lost and would write this side, as far as nobody has approved it.
    pub(super) fn holds_lost(&self, link: &Link, side: Side) -> bool {
        let place = (link.number, side);
        [&self.braked, &self.halted, &self.doubted].into_iter().any(|held| held.contains(&place))
    }

    fn why_braked(&self, link: &Link) -> &'static str {
        if self.doubted.iter().any(|(number, _)| *number == link.number) { DOUBTED } else { BRAKED }
    }

    /// Marks what a batch would have written on a side that a brake holds, or that is in doubt.
    pub(super) fn brake(&self, link: &Link, batch: &mut Batch) {
        for side in Side::BOTH {
            let place = (link.number, side);
            let (braked, halted) = (self.braked.contains(&place), self.halted.contains(&place));
            // Before a full compare has seen everything, nobody knows how many were lost.
            let lost_waits = self.holds_lost(link, side) || self.comparing.contains(&link.number);
            let suspended = self.suspended.contains(&place);
            let doubted = self.is_doubted(link, side);
            let waits = |item: &Item| {
                let lost = item.pair.as_ref().is_some_and(|pair| pair.gone(side.other()));
                let held = match lost {
                    // It was counted when its twin went.
                    true if item.survivor => self.holds_lost(link, side),
                    true => lost_waits && !approved(item) || void(item),
                    false => braked || halted,
                };
                held && writes(item, side) || suspended && changes(item, side)
            };
            // What is missing in a table in doubt, and was deleted on the other side, is to be deleted in the old one.
            let ends = |item: &Item| matches!(decision(item).map(|one| &one.action), Some(Action::End));
            for item in &mut batch.items {
                let in_doubt = doubted && (writes(item, side) || ends(item));
                if !in_doubt && !waits(item) {
                    continue;
                }
                if let Some(decision) = &mut item.decision {
                    decision.action = Action::Hold(Cause::Held(self.why_braked(link).to_owned()));
                }
                if !in_doubt || void(item) {
                    item.todo.approved = None;
                }
            }
        }
    }
}

/// What a brake holds of a link, and towards which side.
#[derive(Clone, Copy)]
pub(super) struct Waiting<'a> {
    pub(super) written: Side,
    pub(super) kind: BrakeKind,
    /// The approved set whose members are marked one after the other: those that are belong to it too.
    pub(super) released: Option<&'a [u8]>,
}

impl Waiting<'_> {
    /// Of deletes: what lost the other side, and nobody has approved. Of changes: what would be overwritten.
    fn names(&self, work: &Work) -> bool {
        let marked = |mark: &[u8]| self.released.is_some_and(|set| mark.ends_with(set));
        match self.kind {
            BrakeKind::Deletes => {
                let asked = work.reason == Reason::Gone || work.approved.as_deref().is_some_and(marked);
                asked && work.reason.is_lost() && work.side == self.written.other()
            }
            BrakeKind::Changes | BrakeKind::OtherTable => work.reason == Reason::Braked,
        }
    }
}

/// Adds an item to a set, if it is decided about a pair.
fn add(set: &mut SetHash, item: &Item, written: Side) -> bool {
    let (Some(pair), Some(decision)) = (&item.pair, &item.decision) else { return false };
    let row = item.slot[written].row().map_or(Fingerprint(0), |row| Fingerprint::of_row(row));
    set.add(pair.id, pair.ver, decision.situation, row);
    true
}

/// The hash of an item alone.
fn own_hash(item: &Item, written: Side) -> Option<Vec<u8>> {
    let mut own = SetHash::default();
    add(&mut own, item, written).then(|| own.finish())
}

/// Whether a person approved what is decided about an item that lost a side, and nothing differs since (rule 15).
fn approved(item: &Item) -> bool {
    let own = || own_hash(item, item.todo.side.other());
    item.todo.approved.as_ref().is_some_and(|mark| own().is_some_and(|own| mark.starts_with(&own)))
}

/// Whether a person approved something else about it.
fn void(item: &Item) -> bool {
    item.todo.approved.is_some() && !approved(item)
}

/// Whether an item's action writes a side, or settles a record that was lost on the other one.
fn writes(item: &Item, side: Side) -> bool {
    let lost = item.pair.as_ref().is_some_and(|pair| pair.gone(side.other()));
    match item.decision.as_ref().map(|decision| &decision.action) {
        Some(Action::Create(to, _) | Action::Delete(to, _)) => *to == side || lost,
        Some(Action::Update(update)) => !update.writes(side).is_empty(),
        Some(Action::Keep) => lost,
        Some(Action::Ignore | Action::Report | Action::End | Action::Hold(_) | Action::Retry) | None => false,
    }
}
