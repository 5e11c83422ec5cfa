//! Apply: what was decided becomes true, each write with its proof.

use std::collections::HashSet;

use super::batch::Batch;
use super::capture::Moment;
use super::conflicts::conflicts;
use super::item::Item;
use super::job::{Done, Job, may_come_twice};
use super::parking::Parking;
use super::record::{Proof, Written};
use super::{Phase, Pipeline};
use crate::endpoint::{Unread, Write};
use crate::error::{Error, Kind, Result};
use crate::model::{Conflict, Key, KeyBytes, Link, Pair, Row, Side, Value};
use crate::reconcile::{Action, Decision};
use crate::state;

/// What became of one item.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fate {
    /// Still to be done, or nothing to do.
    Open,
    /// Written and recorded.
    Written,
    /// Something is in the way that goes away by itself.
    Busy(String),
    /// The server refuses it.
    Refused(String),
}

/// What is done to one record on one side.
#[derive(Clone, Debug)]
pub(super) enum Do {
    Create(Row),
    Update(Vec<(usize, Value)>),
    Delete,
}

impl Pipeline {
    /// One write transaction, and what is written down before it elsewhere.
    #[allow(clippy::too_many_arguments)] // What a batch is, and how it is tried.
    pub(super) async fn attempt(
        &mut self,
        moment: &mut Moment,
        link_at: usize,
        side: Side,
        batch: &mut Batch,
        part: &[usize],
        fates: &mut [Fate],
        parking: &Parking,
    ) -> Result<()> {
        let integration = self.integration.clone();
        let link = &integration.links[link_at];
        let home = self.is_home(link, side);
        let conflicts = conflicts(link, side, batch, part, fates);
        if !home && !conflicts.is_empty() {
            self.write_pending(&conflicts).await?;
        }
        let written = self.transact(moment, link_at, side, batch, part, &conflicts, fates, parking).await;
        if written.as_ref().is_err_and(|error| !matches!(error.kind(), Kind::InDoubt | Kind::Fenced)) {
            self.drop_pending(home, &conflicts, &[]).await?;
        }
        written
    }

    /// One write transaction: fence, lock, compare, write, read back, proof, commit. An error but [`Kind::InDoubt`] says
    /// that nothing was written.
    #[allow(clippy::too_many_arguments)] // As `attempt`.
    async fn transact(
        &mut self,
        moment: &mut Moment,
        link_at: usize,
        side: Side,
        batch: &mut Batch,
        part: &[usize],
        conflicts: &[(usize, Conflict)],
        fates: &mut [Fate],
        parking: &Parking,
    ) -> Result<()> {
        let integration = self.integration.clone();
        let link = &integration.links[link_at];
        self.timings.enter(Phase::Writing);
        self.rely_on(link.endpoint[side.other()]).await?;
        let endpoint = self.endpoints[link.endpoint[side]].clone();
        let mut write = endpoint.begin(&self.fence).await?;
        self.door.step("apply.begun").await?;
        let known = moment.known(link_at, link, side);
        let mut job = Job { link, at: link_at, side, known, part: part.to_vec(), busy: Vec::new(), refused: Vec::new() };
        let done = match job.run(&mut *write, &batch.items, parking).await {
            Ok(done) => done,
            Err(error) => {
                // The first error is the one to tell; a rollback that fails too changes nothing.
                let _ = write.rollback().await;
                return Err(error);
            }
        };
        self.door.step("apply.written").await?;
        let mut sound = self.check_free(&mut *write, moment, link_at, side, &batch.items, &done).await;
        if sound.is_ok() {
            sound = self.check_parents(&mut *write, moment, link_at, side, &done).await;
        }
        if let Err(error) = sound {
            let _ = write.rollback().await;
            return Err(error);
        }
        let written: Vec<Written> =
            done.into_iter().map(|done| self.pair_after(link, side, &batch.items[done.at], done)).collect();
        self.commit_proven(write, side, &[Proof { link, written: &written, conflicts }]).await?;
        for (at, cause) in job.busy {
            fates[at] = Fate::Busy(cause);
        }
        for (at, cause) in job.refused {
            fates[at] = Fate::Refused(cause);
        }
        for written in written {
            if let (Some(before), Some(now)) = (&batch.items[written.at].key[side], &written.pair.key[side])
                && before != now
            {
                self.left.insert((link.number, side, before.clone()));
            }
            if let Some(key) = &written.pair.key[side] {
                self.echoes.recorded(link.number, side, key, written.pair.pos[side]);
            }
            written.settle(&mut batch.items, fates);
        }
        Ok(())
    }

    /// Whether an item is created on a side, or gets another key there.
    pub(super) fn takes_key(&self, link_at: usize, side: Side, item: &Item) -> bool {
        creates(item) || moves(&self.integration.links[link_at], side, item)
    }

    /// A key that a live pair still holds, that the unread log names, or that belongs to a pair about to be made, was given out
    /// again: its record was deleted or got another key, and the log has yet to say which. Who takes it comes again when it has.
    async fn check_free(
        &self,
        write: &mut dyn Write,
        moment: &mut Moment,
        link_at: usize,
        side: Side,
        items: &[Item],
        done: &[Done],
    ) -> Result<()> {
        let link = &self.integration.links[link_at];
        let may_come_twice = may_come_twice(link, side);
        let takes = |done: &&Done| match done.what {
            Do::Create(_) => may_come_twice,
            Do::Update(_) => done.key != items[done.at].key[side],
            Do::Delete => false,
        };
        let taken: Vec<(&KeyBytes, Option<i64>)> = done
            .iter()
            .filter(takes)
            .filter_map(|done| Some((done.key.as_ref()?, items[done.at].pair.as_ref().map(|pair| pair.id))))
            .collect();
        if taken.is_empty() {
            return Ok(());
        }
        let keys: Vec<KeyBytes> = taken.iter().map(|(key, _)| (*key).clone()).collect();
        let to_be_paired = to_be_paired(items, side, &keys, done);
        let holders = match self.is_home(link, side) {
            true => state::by_key(write.session(), link, side, &keys).await?,
            false => state::by_key(&mut *self.home_session().await?, link, side, &keys).await?,
        };
        // The record itself, or one that leaves the key in this very transaction.
        let own = |pair: &Pair| taken.iter().any(|(_, id)| *id == Some(pair.id));
        let free = !to_be_paired && holders.iter().all(own);
        let keys: Vec<Key> = keys.iter().filter_map(KeyBytes::decode).collect();
        let (window, place) = moment.window(link_at, link, side);
        if free && window.unread(place, &keys, Unread::Moves).await?.is_empty() {
            return Ok(());
        }
        Err(Error::new(Kind::Stale, "its new key was another record's, which the log has yet to explain"))
    }
}

/// Whether an item is to get another key on a side.
pub(super) fn moves(link: &Link, side: Side, item: &Item) -> bool {
    let collection = &link.collection[side];
    let part = |(field, _): &(usize, Value)| collection.table.key.contains(&collection.columns[*field]);
    matches!(todo(item, side), Some(Do::Update(fields)) if fields.iter().any(part))
}

/// Whether a record that the map does not know yet had one of these keys when it was read: what is about to be written on the
/// other side makes it a pair under that key, and two pairs would name it. What this very transaction has locked is left out.
fn to_be_paired(items: &[Item], side: Side, keys: &[KeyBytes], done: &[Done]) -> bool {
    let keys: HashSet<&KeyBytes> = keys.iter().collect();
    let locked: HashSet<usize> = done.iter().map(|done| done.at).collect();
    items.iter().enumerate().filter(|(at, _)| !locked.contains(at)).any(|(_, item)| {
        let unknown = item.pair.as_ref().is_none_or(|pair| pair.ver == 0);
        let had = item.key[side].as_ref().is_some_and(|key| keys.contains(key));
        unknown && had && todo(item, side.other()).is_some()
    })
}

pub(super) fn creates(item: &Item) -> bool {
    matches!(item.decision.as_ref().map(|decision| &decision.action), Some(Action::Create(..)))
}

/// The row that an item is created with on a side.
pub(super) fn created(item: &Item, side: Side) -> Option<&Row> {
    match &item.decision.as_ref()?.action {
        Action::Create(to, row) if *to == side => Some(row),
        _ => None,
    }
}

/// Whether an item is to be deleted on a side.
pub(super) fn deletes(item: &Item, side: Side) -> bool {
    matches!(item.decision.as_ref().map(|decision| &decision.action), Some(Action::Delete(to, _)) if *to == side)
}

/// The fields that are written to an item that is there on a side.
pub(super) fn written(item: &Item, side: Side) -> &[(usize, Value)] {
    match item.decision.as_ref().map(|decision| &decision.action) {
        Some(Action::Update(update)) => update.writes(side),
        _ => &[],
    }
}

/// The items of a batch that are to be written on a side.
pub(super) fn still_to_write(side: Side, batch: &Batch, fates: &[Fate]) -> Vec<usize> {
    (0..batch.items.len())
        .filter(|at| fates[*at] != Fate::Written || has_more(&batch.items[*at], side))
        .filter(|at| !matches!(fates[*at], Fate::Busy(_) | Fate::Refused(_)))
        .filter(|at| writes(&batch.items[*at], side))
        .collect()
}

/// What is to be done to an item on a side.
pub(super) fn todo(item: &Item, side: Side) -> Option<Do> {
    match &item.decision.as_ref()?.action {
        Action::Create(to, values) if *to == side => Some(Do::Create(values.clone())),
        Action::Delete(to, _) if *to == side => Some(Do::Delete),
        Action::Update(update) if !update.writes(side).is_empty() => Some(Do::Update(update.writes(side).to_vec())),
        Action::Update(_)
        | Action::Create(..)
        | Action::Delete(..)
        | Action::Ignore
        | Action::Report
        | Action::End
        | Action::Keep
        | Action::Hold(_)
        | Action::Retry => None,
    }
}

/// Whether anything is to be done to an item on a side.
fn writes(item: &Item, side: Side) -> bool {
    match item.decision.as_ref().map(|decision| &decision.action) {
        Some(Action::Create(to, _) | Action::Delete(to, _)) => *to == side,
        Some(Action::Update(update)) => !update.writes(side).is_empty(),
        _ => false,
    }
}

/// Whether an item that was written on one side still has something to write on this one.
fn has_more(item: &Item, side: Side) -> bool {
    match item.decision.as_ref().map(|decision| &decision.action) {
        Some(Action::Update(update)) => !update.source.is_empty() && !update.target.is_empty() && !update.writes(side).is_empty(),
        _ => false,
    }
}

/// The decision of an item, which every item of a decided batch has.
pub(super) fn decision(item: &Item) -> Option<&Decision> {
    item.decision.as_ref()
}
