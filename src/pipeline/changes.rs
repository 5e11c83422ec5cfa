//! The brake on changes: too many records would be overwritten on a side, and a person decides first.
//!
//! What lost a side stands on the worklist and can be counted there; changes are written as they are met. So
//! where what is at hand could come to more than the limit, it is put on the worklist first and counted, before
//! any of it is written.

use std::collections::BTreeMap;

use super::apply::Fate;
use super::batch::Batch;
use super::brake::Waiting;
use super::cycle::Doing;
use super::item::Item;
use super::{Mode, Pipeline};
use crate::error::Result;
use crate::model::{Both, Limit, Link, Reason, Side, Work};
use crate::reconcile::{Action, Situation, tripped};
use crate::state::{self, Brake, BrakeKind};

const KIND: BrakeKind = BrakeKind::Changes;

impl Pipeline {
    /// Before the first write to a link: which sides are braked, which must be counted first, and what was
    /// approved is written now.
    pub(super) async fn guard_changes(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        brakes: &[Brake],
        listed: &BTreeMap<(Reason, Side), u64>,
    ) -> Result<()> {
        self.suspended.retain(|(number, _)| *number != link.number);
        self.halted.retain(|(number, _)| *number != link.number);
        for written in Side::BOTH {
            let before = brakes.iter().find(|brake| brake.side == written && brake.kind == KIND);
            match (before, link.brake.changes) {
                (None, None) => {}
                (Some(brake), _) => self.hold_or_release(doing, at, link, brake, listed).await?,
                (None, Some(limit)) => {
                    let dirty = &doing.moment.dirty[at];
                    let most = listed.values().sum::<u64>() + (dirty.source.len() + dirty.target.len()) as u64;
                    let counted = listed.keys().any(|(reason, _)| *reason == Reason::Braked)
                        || self.compare_of(doing.session, link).await?.is_some()
                        || self.too_many(doing, link, written, limit, most).await?;
                    if counted {
                        self.suspended.push((link.number, written));
                    }
                }
            }
        }
        Ok(())
    }

    async fn too_many(&self, doing: &mut Doing<'_>, link: &Link, written: Side, limit: Limit, records: u64) -> Result<bool> {
        let recent = self.recent(doing.session, link, written, KIND).await?;
        if records + recent <= limit.count {
            return Ok(false);
        }
        let pairs = state::count(doing.session, link).await?.pairs;
        Ok(tripped(Some(limit), records + recent, pairs))
    }

    /// A brake that has tripped holds, unless the very set that waits now is the one a person approved, or
    /// nothing waits any more, or the limit was taken away.
    async fn hold_or_release(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        brake: &Brake,
        listed: &BTreeMap<(Reason, Side), u64>,
    ) -> Result<()> {
        let place = (link.number, brake.side);
        let put_aside = listed.iter().filter(|((reason, _), _)| *reason == Reason::Braked).map(|(_, count)| count).sum();
        let unchanged = self.hashed.insert(place, put_aside) == Some(put_aside);
        let off = link.brake.changes.is_none();
        // What was lost comes first, and so does another table: until that is decided, an approval of the changes waits with them.
        if self.braked.contains(&place) || self.doubted.contains(&place) {
            return Ok(());
        }
        if unchanged && brake.approved.is_none() && !off {
            self.halted.push(place);
            return Ok(());
        }
        let (hash, records) = self.waiting_set(doing, at, link, waiting(brake.side)).await?;
        let approved = records == 0 || off || brake.approved.as_ref() == Some(&hash);
        if self.mode == Mode::Plan {
            match approved {
                true => self.supposed.release(link),
                false => self.halted.push(place),
            }
            return Ok(());
        }
        if approved {
            self.hashed.remove(&place);
            return self.release_changes(doing, at, link, brake.side).await;
        }
        self.halted.push(place);
        // An approval of another set is void, and shown as such.
        if brake.hash != hash || brake.approved.is_some() {
            self.stop_changes(doing, link, brake.side, hash, records).await?;
        }
        Ok(())
    }

    /// What a person approved is written, and does not count again.
    async fn release_changes(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link, written: Side) -> Result<()> {
        self.releasing = true;
        let run = self.run_listed(doing, at, link, |work: &Work| work.reason == Reason::Braked).await;
        self.releasing = false;
        run?;
        // Last: should this process end before, the same set waits for the same approval.
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::clear_brake(&mut *tx, link, written, KIND).await?;
        state::reset_recent(&mut *tx, link, written, KIND).await?;
        tx.commit().await?;
        self.door.step("brake.released").await
    }

    async fn stop_changes(&self, doing: &mut Doing<'_>, link: &Link, written: Side, hash: Vec<u8>, records: u64) -> Result<()> {
        let pairs = state::count(doing.session, link).await?.pairs;
        let brake =
            Brake { link: link.number, side: written, kind: KIND, hash, records, pairs, at: self.door.now(), approved: None };
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::write_brake(&mut *tx, &brake).await?;
        tx.commit().await?;
        tracing::error!(
            link = link.name,
            records,
            pairs,
            "the brake tripped: so many records would be changed in the {written}; nothing is written there. \
             Next: twinrow held list   # shows them; then: twinrow approve {}",
            link.name
        );
        self.door.step("brake.recorded").await
    }

    /// After everything at hand was met: what was put aside is counted, and written or braked.
    pub(super) async fn settle_changes(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        let sides: Vec<Side> =
            self.suspended.iter().filter(|(number, _)| *number == link.number).map(|(_, side)| *side).collect();
        // A full compare goes on for many cycles: before it has seen everything nobody knows how many they are.
        if sides.is_empty() || state::scan(doing.session, link).await?.is_some() {
            return Ok(());
        }
        for written in sides {
            let (hash, records) = self.waiting_set(doing, at, link, waiting(written)).await?;
            let Some(limit) = link.brake.changes else { continue };
            if self.too_many(doing, link, written, limit, records).await? {
                self.halted.push((link.number, written));
                self.stop_changes(doing, link, written, hash, records).await?;
            }
        }
        self.suspended.retain(|(number, _)| *number != link.number);
        let put_aside = state::work_counts(doing.session, link).await?;
        if put_aside.keys().all(|(reason, _)| *reason != Reason::Braked) {
            return Ok(());
        }
        // They were counted as braked when they were put aside, and count again as what becomes of them now.
        let counts = doing.counts.link(&link.name);
        let put_aside = put_aside.iter().filter(|((reason, _), _)| *reason == Reason::Braked).map(|(_, count)| count).sum();
        counts.braked = counts.braked.saturating_sub(put_aside);
        counts.decided = counts.decided.saturating_sub(put_aside);
        self.run_listed(doing, at, link, |work: &Work| work.reason == Reason::Braked).await
    }

    /// A plan puts nothing aside: it goes through everything twice, first to count. What would be changed on a side where those
    /// are too many is braked then; a run has met all else before it knows.
    pub(super) async fn plan_changes(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        let sides: Vec<Side> =
            self.suspended.iter().filter(|(number, _)| *number == link.number).map(|(_, side)| *side).collect();
        let (Some(limit), false) = (link.brake.changes, sides.is_empty()) else {
            return self.plan_link(doing, at, link).await;
        };
        self.suspended.retain(|(number, _)| *number != link.number);
        let entries = doing.moment.dirty[at].clone();
        let (shown, waited) = (std::mem::take(doing.counts), self.supposed.waiting.len());
        self.planned = Both::default();
        let planned = self.plan_link(doing, at, link).await;
        *doing.counts = shown;
        doing.moment.dirty[at] = entries;
        self.supposed.begin_again(link, waited);
        planned?;
        let mut tripped = Vec::new();
        for written in sides {
            if self.too_many(doing, link, written, limit, self.planned[written]).await? {
                tripped.push((link.number, written));
            }
        }
        self.suspended.extend(&tripped);
        let planned = self.plan_link(doing, at, link).await;
        self.suspended.retain(|(number, _)| *number != link.number);
        self.halted.extend(tripped);
        planned
    }

    /// Records a batch has changed, per side, as far as they count towards the brake.
    pub(super) fn changes_written(&self, link: &Link, batch: &Batch, fates: &[Fate]) -> Both<u64> {
        if link.brake.changes.is_none() || self.releasing {
            return Both::default();
        }
        let written = || batch.items.iter().zip(fates).filter(|(_, fate)| **fate == Fate::Written).map(|(item, _)| item);
        Both::from_fn(|side| written().filter(|item| changes(item, side)).count() as u64)
    }
}

fn waiting(written: Side) -> Waiting<'static> {
    Waiting { written, kind: KIND, released: None }
}

/// Whether an item overwrites values of a side. Two records that have just been found to be twins do not
/// count: a first sync has an approval of its own.
pub(super) fn changes(item: &Item, side: Side) -> bool {
    item.decision.as_ref().is_some_and(|decision| {
        decision.situation != Situation::Found
            && matches!(&decision.action, Action::Update(update) if !update.writes(side).is_empty())
    })
}
