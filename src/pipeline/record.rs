//! Record: what was written goes into the map, in the same transaction or through a receipt (rule 10).

use std::collections::HashSet;

use super::apply::{Do, Fate};
use super::batch::Batch;
use super::conflicts::conflict;
use super::item::Item;
use super::job::Done;
use super::{Phase, Pipeline};
use crate::endpoint::Write;
use crate::error::{Error, Kind, Result};
use crate::mapping;
use crate::model::{
    Base, Both, Conflict, ConflictState, Fingerprint, KeyBytes, Link, Pair, PairStatus, Receipt, Row, Side, Value, Work,
};
use crate::reconcile::{Action, Update};
use crate::state;

/// What a write made of an item.
pub(super) struct Written {
    /// The item.
    pub(super) at: usize,
    /// Its pair as it is now.
    pub(super) pair: Pair,
    /// Whether its record was created.
    pub(super) created: bool,
    /// Whether its keys are what they were: only bases and positions are recorded.
    pub(super) same_keys: bool,
    /// Whether it had another key on this side.
    pub(super) moved: bool,
    /// See [`Item::set_off`].
    pub(super) set_off: Option<usize>,
}

impl Written {
    /// Once it is committed and recorded.
    pub(super) fn settle(self, items: &mut [Item], fates: &mut [Fate]) {
        let item = &mut items[self.at];
        item.pair = Some(self.pair);
        item.linking = false;
        item.set_off = item.set_off.or(self.set_off);
        fates[self.at] = Fate::Written;
    }
}

/// What a transaction has written for a link, and the conflicts that were written down before.
pub(super) struct Proof<'a> {
    pub(super) link: &'a Link,
    pub(super) written: &'a [Written],
    pub(super) conflicts: &'a [(usize, Conflict)],
}

impl Proof<'_> {
    /// The conflicts that are kept with what was written.
    fn kept(&self) -> Vec<Vec<u8>> {
        let written = |at: usize| self.written.iter().any(|written| written.at == at);
        self.conflicts.iter().filter(|(at, _)| written(*at)).map(|(_, conflict)| conflict.id.clone()).collect()
    }
}

/// The write stands, and only its receipt knows: whatever went wrong, nothing may be decided before it is
/// absorbed.
fn unabsorbed(error: Error) -> Error {
    if error.kind() == Kind::Fenced {
        return error;
    }
    let untold = Error::new(Kind::InDoubt, format!("the write is committed, but not recorded yet: {}", error.message()));
    // Without the right to record it, the next process can't do so either.
    if error.kind() == Kind::Denied { untold.hint(error.what_next()) } else { untold }
}

impl Pipeline {
    /// Commits what was written to one endpoint, with its proof in the same transaction (rule 10).
    pub(super) async fn commit_proven(&mut self, mut write: Box<dyn Write>, side: Side, proofs: &[Proof<'_>]) -> Result<()> {
        self.timings.enter(Phase::Recording);
        let endpoint = proofs[0].link.endpoint[side];
        let home = self.is_home(proofs[0].link, side);
        let mut receipts = Vec::with_capacity(proofs.len());
        for proof in proofs {
            let Proof { link, written, conflicts } = proof;
            if home {
                self.record_here(&mut *write, link, side, written, conflicts, &proof.kept()).await?;
            } else {
                receipts.push(self.write_receipts(&mut *write, link, side, written).await?);
            }
        }
        let number = if home { None } else { Some(self.number(write.session()).await?) };
        self.door.step("apply.recorded").await?;
        self.timings.enter(Phase::Committing);
        write.commit().await?;
        self.door.step("apply.committed").await?;
        self.timings.enter(Phase::Recording);
        self.relied.extend(number.map(|number| (endpoint, number)));
        for (proof, receipts) in proofs.iter().zip(&receipts) {
            let kept = proof.kept();
            let moved = proof.written.iter().filter(|written| written.moved).map(|written| written.pair.id).collect();
            self.absorb_now(proof.link, side, receipts, &moved, &kept).await.map_err(unabsorbed)?;
            self.drop_pending(home, proof.conflicts, &kept).await.map_err(unabsorbed)?;
        }
        Ok(())
    }

    /// Data and map in one transaction: this endpoint holds the state.
    pub(super) async fn record_here(
        &mut self,
        write: &mut dyn Write,
        link: &Link,
        side: Side,
        written: &[Written],
        conflicts: &[(usize, Conflict)],
        kept: &[Vec<u8>],
    ) -> Result<()> {
        let session = write.session();
        let created: Vec<(KeyBytes, i64)> = written
            .iter()
            .filter(|written| written.created)
            .filter_map(|written| Some((written.pair.key[side].clone()?, written.pair.id)))
            .collect();
        self.remember(session).await?;
        let lost = match self.given_again.contains(&(link.number, side)) {
            true => state::detach(session, link, side, &created, self.cycle).await?,
            false => Vec::new(),
        };
        if !lost.is_empty() {
            self.ahead = None;
        }
        // Not in this cycle: the guard has counted before.
        let gone = |pair: &Pair| Some(Work { cycle: self.cycle, ..self.gone(link, side, pair)? });
        let gone: Vec<_> = lost.iter().filter_map(gone).collect();
        state::write_work(session, &gone).await?;
        let (same, other): (Vec<_>, Vec<_>) = written.iter().partition(|written| written.same_keys);
        state::rebase(session, link, same.into_iter().map(|written| &written.pair)).await?;
        state::let_go(session, written.iter().filter(|written| written.moved).map(|written| &written.pair)).await?;
        let recorded = record(session, link, other.into_iter().map(|written| &written.pair)).await;
        // Seldom, so nobody is asked before: what was written comes again, and then whoever held the key lets go first.
        if recorded.as_ref().is_err_and(state::is_taken) {
            self.given_again.insert((link.number, side));
        }
        recorded?;
        if !written.is_empty() {
            self.note_map(session, link).await?;
        }
        if !conflicts.is_empty() {
            let list: Vec<Conflict> = conflicts
                .iter()
                .filter(|(_, conflict)| kept.contains(&conflict.id))
                .map(|(_, conflict)| Conflict { state: ConflictState::Kept, ..conflict.clone() })
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
        written: &[Written],
    ) -> Result<Vec<Receipt>> {
        let mut receipt = |written: &Written| Receipt {
            n: self.next_id(),
            pair: written.pair.clone(),
            detached: written.created.then_some(side),
        };
        let receipts: Vec<Receipt> = written.iter().map(&mut receipt).collect();
        state::write_receipts(write.session(), &self.fence.integration, link, &receipts).await?;
        Ok(receipts)
    }

    /// What the receipts prove goes into the map.
    pub(super) async fn absorb_now(
        &mut self,
        link: &Link,
        side: Side,
        receipts: &[Receipt],
        moved: &HashSet<i64>,
        kept: &[Vec<u8>],
    ) -> Result<()> {
        let mut tx = self.home()?.begin(&self.fence).await?;
        if state::absorb_written(&mut *tx, link, receipts, moved).await? {
            self.ahead = None;
        }
        self.remember(&mut *tx).await?;
        if !receipts.is_empty() {
            self.note_map(&mut *tx, link).await?;
        }
        state::keep_conflicts(&mut *tx, kept).await?;
        tx.commit().await?;
        self.absorbed.extend(receipts.iter().map(|receipt| (link.endpoint[side], receipt.n)));
        self.door.step("apply.absorbed").await
    }

    /// The pair as it is after a write.
    pub(super) fn pair_after(&mut self, link: &Link, side: Side, item: &Item, done: Done) -> Written {
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
        let answer = Answer { link, item, side, stored: &done.stored };
        let created = matches!(done.what, Do::Create(_));
        // A match that was just found has brought new keys, though its pair is in the map.
        let in_map = pair.ver > 0 && !item.linking;
        let updated = matches!(done.what, Do::Update(_)) && in_map;
        let (same_keys, moved) = (updated && pair.key[side] == done.key, updated && pair.key[side] != done.key);
        let mut set_off = None;
        match &done.what {
            Do::Create(values) => {
                pair.key[side] = done.key.clone();
                // Another link on the table may have lost the record too, and is to know it again.
                pair.former[side].take_if(|_| self.beside(link, side).is_empty());
                pair.pos[side] = done.pos;
                for (at, value) in values.iter().enumerate() {
                    pair.bases[at] = answer.base(at, value, None);
                }
                set_off = answer.set_off_by_create(values);
            }
            Do::Update(fields) => {
                pair.key[side] = done.key.clone();
                pair.pos[side] = done.pos;
                for (at, value) in fields {
                    pair.bases[*at] = answer.base(*at, value, pair.bases[*at]);
                }
                for (at, base) in agreed(item) {
                    pair.bases[*at] = Some(*base);
                }
                set_off = answer.set_off_by_update(fields);
            }
            Do::Delete => {
                pair.former[side] = pair.key[side].take();
                pair.status = PairStatus::Ended;
            }
        }
        pair.ver += 1;
        pair.cycle = self.cycle;
        Written { at: done.at, pair, created, same_keys, moved, set_off }
    }

    /// Pairs that need no write but a record: agreed bases, ends, links.
    pub(super) async fn record_rest(&mut self, link_at: usize, batch: &mut Batch, fates: &mut [Fate]) -> Result<()> {
        let integration = self.integration.clone();
        let link = &integration.links[link_at];
        let (mut pairs, mut standing) = (Vec::new(), Vec::new());
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
                    standing.extend(update.stands.then(|| conflict(link, None, item, ConflictState::Kept)));
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
        for side in Side::BOTH {
            self.rely_on(link.endpoint[side]).await?;
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        self.remember(&mut *tx).await?;
        let recorded = record(&mut *tx, link, pairs.iter().map(|(_, pair)| pair)).await;
        match recorded {
            Ok(()) => {
                let keep = integration.keep_values;
                let heard = self.heard(pairs.iter().map(|(_, pair)| pair));
                state::absorb_conflicts(&mut *tx, &heard).await?;
                state::write_conflicts(&mut *tx, &integration.name, &standing, keep, self.door.now()).await?;
                self.note_map(&mut *tx, link).await?;
                tx.commit().await?;
                self.unheard.retain(|pair| !heard.contains(pair));
            }
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

/// Whether two values are not the same, however they are written. To compare them is cheaper than to hash them.
fn differ(one: &Value, other: &Value) -> bool {
    one != other && one.fingerprint() != other.fingerprint()
}

pub(super) async fn record<'a>(
    session: &mut dyn crate::sql::Session,
    link: &Link,
    pairs: impl Iterator<Item = &'a Pair>,
) -> Result<()> {
    let (new, old): (Vec<&Pair>, Vec<&Pair>) = pairs.partition(|pair| pair.ver == 1);
    state::insert(session, link, new).await?;
    state::update(session, link, old).await
}

fn agreed(item: &Item) -> &[(usize, Base)] {
    match item.decision.as_ref().map(|decision| &decision.action) {
        Some(Action::Update(Update { agreed, .. })) => agreed,
        _ => &[],
    }
}

/// A row as it was read back after a write, beside what was sent and what the other side has.
struct Answer<'a> {
    link: &'a Link,
    item: &'a Item,
    side: Side,
    stored: &'a Row,
}

impl Answer<'_> {
    /// The base of a field after it was sent: the side read as it was fetched, the side written as it reads
    /// back. A blank that comes back filled is that side's change: its base is what was sent (rule 5).
    fn base(&self, at: usize, sent: &Value, before: Option<Base>) -> Option<Base> {
        if self.item.left_out.contains(&at) {
            return Some(Base::agreed(Fingerprint::NULL, Fingerprint::NULL));
        }
        let theirs = &self.item.slot[self.side.other()].row()?[at];
        let agrees = self.agrees(at, theirs);
        if !self.link.fields[at].direction.writes(self.side) {
            return match agrees {
                true => Some(self.seen(theirs, &self.stored[at])),
                // As if both had been empty: what the other side has is a change of its own, which may not travel.
                false => self.unsaid(at).then(|| self.seen(&Value::Null, &self.stored[at])),
            };
        }
        let filled = self.filled(at, sent);
        let mut base = self.seen(theirs, if filled { sent } else { &self.stored[at] });
        base.diverged = self.link.fields[at].via.is_none() && !agrees && !filled;
        base.bounces = Base::bounce(before, self.side);
        Some(base)
    }

    fn seen(&self, theirs: &Value, ours: &Value) -> Base {
        // To compare them is cheaper than to hash both.
        let same = theirs == ours;
        let theirs = theirs.fingerprint();
        let ours = if same { theirs } else { ours.fingerprint() };
        let mut seen = Both { source: theirs, target: theirs };
        seen[self.side] = ours;
        Base { seen, diverged: false, bounces: 0 }
    }

    /// Whether the stored value is the other side's, as far as that can tell without the map.
    fn agrees(&self, at: usize, theirs: &Value) -> bool {
        let field = &self.link.fields[at];
        let column = |side: Side| self.link.collection[side].column(at);
        let back = mapping::convert(&self.stored[at], column(self.side), column(self.side.other()), field.lossy);
        field.via.is_none() && back.as_ref() == Ok(theirs)
    }

    fn filled(&self, at: usize, sent: &Value) -> bool {
        self.goes_back(at) && sent.is_blank() && !self.stored[at].is_blank()
    }

    /// Whether a field that was not sent is empty since our write has made its row: that is nobody's word.
    fn unsaid(&self, at: usize) -> bool {
        !self.link.fields[at].direction.writes(self.side) && self.stored[at].is_blank()
    }

    /// Whether a change of the written side's may travel.
    fn goes_back(&self, at: usize) -> bool {
        let other = self.side.other();
        self.link.direction.writes(other) && self.link.fields[at].direction.writes(other) && !self.item.left_out.contains(&at)
    }

    fn set_off_by_create(&self, values: &Row) -> Option<usize> {
        let theirs = self.item.slot[self.side.other()].row()?;
        (0..values.len()).find(|at| match self.link.fields[*at].direction.writes(self.side) {
            true => self.filled(*at, &values[*at]),
            // Not sent: a default, or a trigger, has made it.
            false => self.goes_back(*at) && !self.unsaid(*at) && !self.agrees(*at, &theirs[*at]),
        })
    }

    fn set_off_by_update(&self, sent: &[(usize, Value)]) -> Option<usize> {
        // The locked row was this one.
        let fetched = self.item.slot[self.side].row()?;
        (0..self.stored.len()).find(|at| match sent.iter().find(|(field, _)| field == at) {
            Some((_, value)) => self.filled(*at, value),
            None => self.goes_back(*at) && differ(&self.stored[*at], &fetched[*at]),
        })
    }
}
