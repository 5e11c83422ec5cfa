//! Conflicts: the loser's values are kept before they are overwritten (rule 11).

use sha2::{Digest, Sha256};

use super::Pipeline;
use super::batch::Batch;
use super::item::Item;
use crate::error::Result;
use crate::model::{Both, Conflict, Fingerprint, Link, Side};
use crate::reconcile::Action;
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
pub(super) fn conflicts(link: &Link, side: Side, batch: &Batch, part: &[usize]) -> Vec<(usize, Conflict)> {
    let mut all = Vec::new();
    for at in part {
        let item = &batch.items[*at];
        let lost = match item.decision.as_ref().map(|decision| &decision.action) {
            Some(Action::Update(update)) => update.loser == Some(side),
            Some(Action::Delete(to, changed)) => *to == side && *changed,
            _ => false,
        };
        if lost {
            all.push((*at, conflict(link, side, item)));
        }
    }
    all
}

fn conflict(link: &Link, loser: Side, item: &Item) -> Conflict {
    let rows = Both::from_fn(|side| item.slot[side].row().cloned());
    let mut hash = Sha256::new();
    hash.update(link.number.to_be_bytes());
    hash.update(item.pair.as_ref().map_or(0, |pair| pair.ver).to_be_bytes());
    for side in Side::BOTH {
        hash.update(item.key[side].as_ref().map_or(&[][..], |key| &key.0));
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
        kept: false,
    }
}
