//! Conflicts: the loser's values are kept before they are overwritten (rule 11), and both sides' while a person decides.

use sha2::{Digest, Sha256};

use super::Pipeline;
use super::apply::Fate;
use super::batch::Batch;
use super::item::Item;
use crate::error::Result;
use crate::model::{Both, Conflict, ConflictState, Fingerprint, Link, Side, undecided_id};
use crate::reconcile::{Action, Cause};
use crate::sql::Session;
use crate::state;

impl Pipeline {
    /// Conflicts are written down before a write elsewhere overwrites the loser (rule 11).
    pub(super) async fn write_pending(&self, conflicts: &[(usize, Conflict)]) -> Result<()> {
        let list: Vec<Conflict> = conflicts.iter().map(|(_, conflict)| conflict.clone()).collect();
        let mut tx = self.home()?.begin(&self.fence).await?;
        let (name, keep) = (&self.fence.integration, self.integration.keep_values);
        state::write_conflicts(&mut *tx, name, &list, keep, self.door.now()).await?;
        tx.commit().await?;
        self.door.step("apply.pending").await
    }

    /// What was written down for records that were not written after all; what is left is what a process
    /// that takes over must look at.
    pub(super) async fn drop_pending(&self, home: bool, conflicts: &[(usize, Conflict)], kept: &[Vec<u8>]) -> Result<()> {
        let dropped: Vec<Vec<u8>> =
            conflicts.iter().map(|(_, conflict)| conflict.id.clone()).filter(|id| !kept.contains(id)).collect();
        if home || dropped.is_empty() {
            return Ok(());
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::drop_conflicts(&mut *tx, &dropped).await?;
        tx.commit().await
    }
}

/// The conflicts that writing `side` settles.
pub(super) fn conflicts(link: &Link, side: Side, batch: &Batch, part: &[usize], fates: &[Fate]) -> Vec<(usize, Conflict)> {
    let mut all = Vec::new();
    for at in part {
        let item = &batch.items[*at];
        let loser = match item.decision.as_ref().map(|decision| &decision.action) {
            Some(Action::Update(update)) if update.losers[side] => Some(side),
            // Nobody loses, and the first write of the record says so.
            Some(Action::Update(update)) if !update.overwrites() && update.stands && fates[*at] != Fate::Written => None,
            Some(Action::Delete(to, changed)) if *to == side && *changed => Some(side),
            _ => continue,
        };
        all.push((*at, conflict(link, loser, item, ConflictState::Pending)));
    }
    all
}

/// The conflict of an item, as its rows are now.
pub(super) fn conflict(link: &Link, loser: Option<Side>, item: &Item, state: ConflictState) -> Conflict {
    let rows = Both::from_fn(|side| item.slot[side].row().cloned());
    let mut hash = Sha256::new();
    hash.update(link.number.to_be_bytes());
    hash.update(item.pair.as_ref().map_or(0, |pair| pair.ver).to_be_bytes());
    // Where fields go both ways, either side may lose some: two conflicts, each kept with its own write.
    hash.update(loser.map_or_else(String::new, |side| side.to_string()));
    for side in Side::BOTH {
        hash.update(item.key[side].as_ref().map_or(&[][..], |key| key.as_bytes()));
        hash.update([0xff]);
        let row = rows[side].as_ref().map_or(0, |row| Fingerprint::of_row(row).0);
        hash.update(row.to_be_bytes());
    }
    Conflict {
        id: hash.finalize()[..16].to_vec(),
        pair: item.pair.as_ref().map_or(0, |pair| pair.id),
        link: link.number,
        key: item.key.clone(),
        loser,
        rows,
        state,
    }
}

/// What a batch makes of the conflicts that wait for a person.
#[derive(Default)]
pub(super) struct Undecided {
    /// Those that do, as they are now.
    waiting: Vec<Conflict>,
    /// The ids of those that do not any more.
    decided: Vec<Vec<u8>>,
}

impl Undecided {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.decided.is_empty()
    }
}

impl Pipeline {
    /// A conflict that waits for a person is there as long as its record is held for it, with the rows as they were last
    /// seen; once it is decided, by whatever, it goes.
    pub(super) fn undecided(&mut self, link: &Link, batch: &Batch, fates: &[Fate]) -> Undecided {
        let mut undecided = Undecided::default();
        let known = self.undecided.contains(&link.number);
        for (item, fate) in batch.items.iter().zip(fates) {
            match (fate, item.decision.as_ref().map(|decision| &decision.action)) {
                (Fate::Open, Some(Action::Hold(Cause::Conflict))) => {
                    let mut names = names(link, item).into_iter();
                    let now = conflict(link, None, item, ConflictState::Undecided);
                    undecided.waiting.extend(names.next().map(|id| Conflict { id, ..now }));
                    undecided.decided.extend(names);
                }
                // It comes again.
                (Fate::Busy(_) | Fate::Refused(_), _) | (Fate::Open, Some(Action::Retry)) => {}
                _ if known => undecided.decided.extend(names(link, item)),
                _ => {}
            }
        }
        if !undecided.waiting.is_empty() {
            self.undecided.insert(link.number);
        }
        undecided
    }

    pub(super) async fn record_undecided(&self, session: &mut dyn Session, undecided: Undecided) -> Result<()> {
        let (name, keep) = (&self.fence.integration, self.integration.keep_values);
        state::forget_undecided(session, &undecided.decided).await?;
        state::hold_conflicts(session, name, &undecided.waiting, keep, self.door.now()).await
    }
}

/// The ids a conflict of this record may wait under, the one to use first: that of the source's key, which every name of a
/// pair leads to; of two that were only just matched, that of the key it is on the worklist under.
fn names(link: &Link, item: &Item) -> Vec<Vec<u8>> {
    let mut keys = vec![
        (Side::Source, item.key.source.as_ref()),
        (Side::Target, item.key.target.as_ref()),
        (item.todo.side, Some(&item.todo.key)),
    ];
    if item.linking {
        keys.rotate_right(1);
    }
    let mut names: Vec<Vec<u8>> = Vec::with_capacity(keys.len());
    for (side, key) in keys {
        let name = key.map(|key| undecided_id(link.number, side, key));
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}
