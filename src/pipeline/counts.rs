//! What a run did, or a plan would do.

use std::collections::BTreeMap;

use serde::Serialize;

use super::apply::{Fate, decision};
use super::batch::Batch;
use super::brake::is_of_a_brake;
use crate::model::{KeyBytes, Side};
use crate::reconcile::{Action, Cause, Situation};
use crate::state::Left;

/// What happened to the records of one link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LinkCounts {
    /// Records looked at.
    pub decided: u64,
    /// Created in the source.
    pub created_source: u64,
    /// Created in the target.
    pub created_target: u64,
    /// Updated in the source.
    pub updated_source: u64,
    /// Updated in the target.
    pub updated_target: u64,
    /// Deleted in the source.
    pub deleted_source: u64,
    /// Deleted in the target.
    pub deleted_target: u64,
    /// Two existing records that became a pair.
    pub linked: u64,
    /// Pairs that got new bases without a write.
    pub agreed: u64,
    /// Conflicts kept.
    pub conflicts: u64,
    /// Held for a person.
    pub held: u64,
    /// Waiting for a parent.
    pub waiting: u64,
    /// Busy, changed meanwhile: they come again.
    pub busy: u64,
    /// Waiting for the approval of a brake.
    pub braked: u64,
    /// Survivors that stay on their own.
    pub kept: u64,
    /// Pairs that ended.
    pub ended: u64,
    /// Changes that may not travel.
    pub reported: u64,
    /// How many records are held for a cause, for `plan`: of a few causes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub causes: BTreeMap<String, u64>,
    /// A few keys per situation, for `plan`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub samples: BTreeMap<&'static str, Vec<Sample>>,
}

/// One record a plan shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// `source` or `target`.
    pub side: String,
    /// Its key there.
    pub key: String,
}

/// So many keys are shown per situation, and so many causes.
const SAMPLES_MAX: usize = 5;

impl LinkCounts {
    pub(super) fn created(&mut self, side: Side) -> &mut u64 {
        match side {
            Side::Source => &mut self.created_source,
            Side::Target => &mut self.created_target,
        }
    }

    pub(super) fn updated(&mut self, side: Side) -> &mut u64 {
        match side {
            Side::Source => &mut self.updated_source,
            Side::Target => &mut self.updated_target,
        }
    }

    pub(super) fn deleted(&mut self, side: Side) -> &mut u64 {
        match side {
            Side::Source => &mut self.deleted_source,
            Side::Target => &mut self.deleted_target,
        }
    }

    pub(super) fn sample(&mut self, situation: Situation, side: Side, key: &KeyBytes) {
        let samples = self.samples.entry(situation.name()).or_default();
        if samples.len() < SAMPLES_MAX {
            let key = key.decode().map_or_else(String::new, |key| key.to_string());
            samples.push(Sample { side: side.to_string(), key });
        }
    }

    pub(super) fn holds(&mut self, cause: &str, records: u64) {
        if self.causes.contains_key(cause) || self.causes.len() < SAMPLES_MAX {
            *self.causes.entry(cause.to_owned()).or_default() += records;
        }
    }

    fn left(&self) -> Left {
        Left { held: self.held, waiting: self.waiting, busy: self.busy, braked: self.braked }
    }

    fn leave(&mut self, Left { held, waiting, busy, braked }: Left) {
        (self.held, self.waiting, self.busy, self.braked) = (held, waiting, busy, braked);
    }

    /// Records written on either side.
    pub fn writes(&self) -> u64 {
        self.created_source
            + self.created_target
            + self.updated_source
            + self.updated_target
            + self.deleted_source
            + self.deleted_target
    }

    fn add(&mut self, other: &LinkCounts) {
        self.decided += other.decided;
        self.created_source += other.created_source;
        self.created_target += other.created_target;
        self.updated_source += other.updated_source;
        self.updated_target += other.updated_target;
        self.deleted_source += other.deleted_source;
        self.deleted_target += other.deleted_target;
        self.linked += other.linked;
        self.agreed += other.agreed;
        self.conflicts += other.conflicts;
        self.held += other.held;
        self.waiting += other.waiting;
        self.busy += other.busy;
        self.braked += other.braked;
        self.kept += other.kept;
        self.ended += other.ended;
        self.reported += other.reported;
        for (cause, n) in &other.causes {
            self.holds(cause, *n);
        }
        for (situation, samples) in &other.samples {
            let all = self.samples.entry(situation).or_default();
            all.extend(samples.iter().take(SAMPLES_MAX.saturating_sub(all.len())).cloned());
        }
    }
}

/// What happened in a run, by link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Log entries read.
    pub entries: u64,
    /// By link name.
    pub links: BTreeMap<String, LinkCounts>,
    /// Whether more work was waiting when the cycle ended.
    #[serde(skip)]
    pub more: bool,
}

impl Counts {
    /// Adds the last part of a run. What is left is what that says is left.
    pub fn end_with(&mut self, last: &Counts) {
        self.add(last);
        for (name, counts) in &mut self.links {
            counts.leave(last.links.get(name).map_or_else(Left::default, LinkCounts::left));
        }
    }

    /// What is left of a link when a run ends: as it stands then, not as often as it was passed over.
    pub(super) fn leave(&mut self, link: &str, left: Left) {
        if left != Left::default() || self.links.contains_key(link) {
            self.link(link).leave(left);
        }
    }

    /// Adds another cycle's.
    pub fn add(&mut self, other: &Counts) {
        self.entries += other.entries;
        self.more = other.more;
        for (name, counts) in &other.links {
            self.links.entry(name.clone()).or_default().add(counts);
        }
    }

    pub(super) fn link(&mut self, name: &str) -> &mut LinkCounts {
        self.links.entry(name.to_owned()).or_default()
    }

    /// Records written on either side, in all.
    pub fn writes(&self) -> u64 {
        self.links.values().map(LinkCounts::writes).sum()
    }

    /// Everything, added up.
    pub fn total(&self) -> LinkCounts {
        let mut total = LinkCounts::default();
        for counts in self.links.values() {
            total.add(counts);
        }
        total
    }
}

/// Counts what became of a batch. `again`, in order: these are decided once more, and count then.
pub(super) fn count(counts: &mut LinkCounts, batch: &Batch, fates: &[Fate], again: &[usize]) {
    for (at, (item, fate)) in batch.items.iter().zip(fates).enumerate() {
        let Some(decision) = decision(item).filter(|_| again.binary_search(&at).is_err()) else { continue };
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
            counts.sample(decision.situation, item.todo.side, &item.todo.key);
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
            counts.conflicts += u64::from(update.overwrites() || update.stands);
        }
        Action::End => counts.ended += 1,
        Action::Keep => counts.kept += 1,
        Action::Hold(Cause::Held(cause)) if is_of_a_brake(cause) => counts.braked += 1,
        Action::Hold(Cause::Held(cause)) => {
            counts.held += 1;
            counts.holds(cause, 1);
        }
        Action::Hold(Cause::Restless(_) | Cause::Conflict) => counts.held += 1,
        Action::Hold(Cause::Parent(..)) => counts.waiting += 1,
        Action::Retry => counts.busy += 1,
    }
}
