//! Record: what was written goes into the map, in the same transaction or through a receipt (rule 10).

use super::Pipeline;
use super::apply::{Do, Fate};
use super::batch::Batch;
use super::item::Item;
use super::job::Done;
use crate::endpoint::Write;
use crate::error::{Kind, Result};
use crate::mapping;
use crate::model::{Base, Both, Conflict, Fingerprint, KeyBytes, Link, Pair, PairStatus, Receipt, Row, Side, Work};
use crate::reconcile::{Action, Update};
use crate::state;

impl Pipeline {
    /// Data and map in one transaction: this endpoint holds the state.
    pub(super) async fn record_here(
        &self,
        write: &mut dyn Write,
        link: &Link,
        side: Side,
        pairs: &[(usize, Pair, bool)],
        conflicts: &[(usize, Conflict)],
        kept: &[Vec<u8>],
    ) -> Result<()> {
        let session = write.session();
        let created: Vec<(KeyBytes, i64)> = pairs
            .iter()
            .filter(|(_, _, created)| *created)
            .filter_map(|(_, pair, _)| Some((pair.key[side].clone()?, pair.id)))
            .collect();
        let lost = state::detach(session, link, side, &created, self.cycle).await?;
        // Not in this cycle: the guard has counted before.
        let gone = |pair: &Pair| Some(Work { cycle: self.cycle, ..self.gone(link, side, pair.former[side].clone()?) });
        let gone: Vec<_> = lost.iter().filter_map(gone).collect();
        state::write_work(session, &gone).await?;
        record(session, link, pairs.iter().map(|(_, pair, _)| pair)).await?;
        if !conflicts.is_empty() {
            let list: Vec<Conflict> = conflicts
                .iter()
                .filter(|(_, conflict)| kept.contains(&conflict.id))
                .map(|(_, conflict)| Conflict { kept: true, ..conflict.clone() })
                .collect();
            let (name, keep) = (&self.fence.integration, self.integration.keep_values);
            state::write_conflicts(session, name, &list, keep, self.door.now()).await?;
            state::keep_conflicts(session, kept).await?;
        }
        Ok(())
    }

    /// The proof that stands in the same transaction as the data (rule 10).
    pub(super) async fn write_receipts(
        &mut self,
        write: &mut dyn Write,
        link: &Link,
        side: Side,
        pairs: &[(usize, Pair, bool)],
    ) -> Result<Vec<Receipt>> {
        let receipts: Vec<Receipt> = pairs
            .iter()
            .map(|(_, pair, created)| Receipt { n: self.next_id(), pair: pair.clone(), detached: created.then_some(side) })
            .collect();
        state::write_receipts(write.session(), &self.fence.integration, link, &receipts).await?;
        Ok(receipts)
    }

    /// What the receipts prove goes into the map.
    pub(super) async fn absorb_now(
        &mut self,
        _link_at: usize,
        link: &Link,
        side: Side,
        receipts: &[Receipt],
        kept: &[Vec<u8>],
    ) -> Result<()> {
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::absorb_written(&mut *tx, link, receipts).await?;
        state::keep_conflicts(&mut *tx, kept).await?;
        tx.commit().await?;
        self.absorbed.extend(receipts.iter().map(|receipt| (link.endpoint[side], receipt.n)));
        self.door.step("apply.absorbed").await
    }

    /// The pair as it is after a write, its item, and whether its record was created.
    pub(super) fn pair_after(&mut self, link: &Link, side: Side, item: &Item, done: Done) -> (usize, Pair, bool) {
        let other = side.other();
        let mut pair = item.pair.clone().unwrap_or_else(|| Pair {
            id: self.next_id(),
            link: link.number,
            key: item.key.clone(),
            former: Both::default(),
            pos: Both::default(),
            status: PairStatus::Linked,
            ver: 0,
            cycle: 0,
            bases: vec![None; link.fields.len()],
        });
        if pair.ver == 0 && item.pair.is_none() {
            pair.pos[other] = item.todo.pos;
        }
        let recent = pair.cycle > 0 && self.cycle - pair.cycle <= BOUNCE_CYCLES;
        let theirs = item.slot[other].row();
        let mut created = false;
        match &done.what {
            Do::Create(_) => {
                created = true;
                pair.key[side] = done.key.clone();
                pair.former[side] = None;
                pair.pos[side] = done.pos;
                for at in 0..link.fields.len() {
                    pair.bases[at] = written_base(link, item, side, at, theirs, &done.stored, None, recent);
                }
            }
            Do::Update(fields) => {
                pair.key[side] = done.key.clone();
                pair.pos[side] = done.pos;
                for (at, _) in fields {
                    pair.bases[*at] = written_base(link, item, side, *at, theirs, &done.stored, pair.bases[*at], recent);
                }
                for (at, base) in agreed(item) {
                    pair.bases[*at] = Some(*base);
                }
            }
            Do::Delete => {
                pair.former[side] = pair.key[side].take();
                pair.status = PairStatus::Ended;
            }
        }
        pair.ver += 1;
        pair.cycle = self.cycle;
        (done.at, pair, created)
    }

    /// Pairs that need no write but a record: agreed bases, ends, links.
    pub(super) async fn record_rest(&mut self, link_at: usize, batch: &mut Batch, fates: &mut [Fate]) -> Result<()> {
        let integration = self.integration.clone();
        let link = &integration.links[link_at];
        let mut pairs = Vec::new();
        for (at, item) in batch.items.iter().enumerate() {
            if fates[at] != Fate::Open {
                continue;
            }
            let (Some(decision), Some(pair)) = (&item.decision, &item.pair) else { continue };
            let mut pair = pair.clone();
            match &decision.action {
                Action::Update(update) if update.source.is_empty() && update.target.is_empty() => {
                    for (at, base) in &update.agreed {
                        pair.bases[*at] = Some(*base);
                    }
                    if update.agreed.is_empty() && !item.linking {
                        continue;
                    }
                }
                Action::End => pair.status = PairStatus::Ended,
                _ => continue,
            }
            pair.ver += 1;
            pair.cycle = self.cycle;
            pairs.push((at, pair));
        }
        if pairs.is_empty() {
            return Ok(());
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        let recorded = record(&mut *tx, link, pairs.iter().map(|(_, pair)| pair)).await;
        match recorded {
            Ok(()) => tx.commit().await?,
            Err(error) if error.kind() == Kind::Stale => {
                tx.rollback().await?;
                pairs.iter().for_each(|(at, _)| fates[*at] = Fate::Busy(error.message().to_owned()));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        for (at, pair) in pairs {
            batch.items[at].pair = Some(pair);
            fates[at] = Fate::Written;
        }
        self.door.step("record.rest").await
    }
}

/// Answers within so many cycles of ours count as a bounce.
const BOUNCE_CYCLES: i64 = 4;

pub(super) async fn record(session: &mut dyn crate::sql::Session, link: &Link, pairs: impl Iterator<Item = &Pair>) -> Result<()> {
    let (new, old): (Vec<Pair>, Vec<Pair>) = pairs.cloned().partition(|pair| pair.ver == 1);
    state::insert(session, link, &new).await?;
    state::update(session, link, &old).await
}

fn agreed(item: &Item) -> &[(usize, Base)] {
    match item.decision.as_ref().map(|decision| &decision.action) {
        Some(Action::Update(Update { agreed, .. })) => agreed,
        _ => &[],
    }
}

/// The base of a field after it was written: the side read as it was fetched, the side written as it
/// reads back (rule 5).
#[allow(clippy::too_many_arguments)] // All are about one field; a struct of them would be built for this call only.
fn written_base(
    link: &Link,
    item: &Item,
    side: Side,
    at: usize,
    theirs: Option<&Row>,
    stored: &Row,
    before: Option<Base>,
    recent: bool,
) -> Option<Base> {
    if item.left_out.contains(&at) {
        return Some(Base::agreed(Fingerprint::NULL, Fingerprint::NULL));
    }
    if !link.fields[at].direction.writes(side) {
        return None;
    }
    let (theirs, ours) = (&theirs?[at], &stored[at]);
    let mut seen = Both { source: theirs.fingerprint(), target: theirs.fingerprint() };
    seen[side] = ours.fingerprint();
    let other = side.other();
    let diverged = link.fields[at].via.is_none() && {
        let columns = &link.collection;
        let back = mapping::convert(ours, columns[side].column(at), columns[other].column(at), link.fields[at].lossy);
        back.as_ref().ok() != Some(theirs)
    };
    Some(Base { seen, diverged, bounces: Base::bounce(before, side, recent) })
}
