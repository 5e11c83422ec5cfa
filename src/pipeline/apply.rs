//! Apply and record: what was decided becomes true, each write with its proof.

use sha2::{Digest, Sha256};

use super::Pipeline;
use super::batch::{Batch, Item};
use super::capture::Moment;
use super::job::{Done, Job};
use crate::endpoint::Write;
use crate::error::{Error, Kind, Result};
use crate::mapping;
use crate::model::{
    Base, Both, Conflict, Fingerprint, Key, KeyBytes, KeySource, Link, Pair, PairStatus, Receipt, Row, Side, Value, Work,
};
use crate::reconcile::{Action, Decision, Update};
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

/// More refusals than this in one batch, and the rest of it comes again later: something is wrong with
/// all of them (F7).
const REFUSALS_MAX: usize = 100;

/// What is done to one record on one side.
#[derive(Clone, Debug)]
pub(super) enum Do {
    Create(Row),
    Update(Vec<(usize, Value)>),
    Delete,
}

impl Pipeline {
    /// Writes one side of a batch: together, and if the server refuses, in ever smaller parts until the
    /// bad record stands alone.
    pub(super) async fn write_side(
        &mut self,
        moment: &mut Moment,
        link_at: usize,
        side: Side,
        batch: &mut Batch,
        fates: &mut [Fate],
    ) -> Result<()> {
        let all = still_to_write(side, batch, fates);
        if all.is_empty() {
            return Ok(());
        }
        let (mut parts, mut blocked, mut refusals) = (vec![all], Vec::new(), 0);
        while let Some(part) = parts.pop() {
            let error = match self.attempt(moment, link_at, side, batch, &part, fates, false).await {
                Ok(()) => continue,
                Err(error) => error,
            };
            match error.kind() {
                Kind::Rejected | Kind::Duplicate if part.len() > 1 && refusals < REFUSALS_MAX => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push(second.to_vec());
                    parts.push(first.to_vec());
                }
                Kind::Duplicate if part.len() == 1 => {
                    refusals += 1;
                    blocked.extend(part.iter().copied());
                    fates[part[0]] = Fate::Refused(error.message().to_owned());
                }
                Kind::Rejected if part.len() == 1 => {
                    refusals += 1;
                    fates[part[0]] = Fate::Refused(error.message().to_owned());
                }
                // Only creates depend on what others hold: the rest goes on without them.
                Kind::Stale if part.iter().any(|at| creates(&batch.items[*at])) => {
                    let (new, rest): (Vec<usize>, Vec<usize>) = part.iter().partition(|at| creates(&batch.items[**at]));
                    new.iter().for_each(|at| fates[*at] = Fate::Busy(error.message().to_owned()));
                    parts.extend((!rest.is_empty()).then_some(rest));
                }
                Kind::Retry | Kind::Stale | Kind::Rejected | Kind::Duplicate => {
                    tracing::debug!(link = self.integration.links[link_at].name, %error, "comes again");
                    part.iter().for_each(|at| fates[*at] = Fate::Busy(error.message().to_owned()));
                }
                _ => return Err(error.context(format!("link {}", self.integration.links[link_at].name))),
            }
        }
        self.swap(moment, link_at, side, batch, blocked, fates).await
    }

    /// Records that only stand in each other's way by unique values: all of them at once, over values
    /// nobody has (C12).
    async fn swap(
        &mut self,
        moment: &mut Moment,
        link_at: usize,
        side: Side,
        batch: &mut Batch,
        blocked: Vec<usize>,
        fates: &mut [Fate],
    ) -> Result<()> {
        let updates: Vec<usize> =
            blocked.into_iter().filter(|at| matches!(todo(&batch.items[*at], side), Some(Do::Update(_)))).collect();
        if updates.len() < 2 {
            return Ok(());
        }
        let before = fates.to_vec();
        match self.attempt(moment, link_at, side, batch, &updates, fates, true).await {
            Ok(()) => Ok(()),
            Err(error) => match error.kind() {
                Kind::Rejected | Kind::Duplicate | Kind::Retry | Kind::Stale => {
                    fates.clone_from_slice(&before);
                    Ok(())
                }
                _ => Err(error),
            },
        }
    }

    /// One write transaction: fence, lock, compare, write, read back, proof, commit.
    #[allow(clippy::too_many_arguments)] // What a batch is, and how it is tried.
    async fn attempt(
        &mut self,
        moment: &mut Moment,
        link_at: usize,
        side: Side,
        batch: &mut Batch,
        part: &[usize],
        fates: &mut [Fate],
        park: bool,
    ) -> Result<()> {
        let integration = self.integration.clone();
        let link = &integration.links[link_at];
        let home = self.is_home(link, side);
        let conflicts = conflicts(link, side, batch, part);
        if !home && !conflicts.is_empty() {
            self.write_pending(&conflicts).await?;
        }
        let endpoint = self.endpoints[link.endpoint[side]].clone();
        let mut write = endpoint.begin(&self.fence).await?;
        self.door.step("apply.begun").await?;
        let mut job = Job { link, side, part: part.to_vec(), busy: Vec::new() };
        let done = match job.run(&mut *write, &batch.items, park).await {
            Ok(done) => done,
            Err(error) => {
                // The first error is the one to tell; a rollback that fails too changes nothing.
                let _ = write.rollback().await;
                self.drop_pending(home, &conflicts, &[]).await?;
                return Err(error);
            }
        };
        self.door.step("apply.written").await?;
        if let Err(error) = self.check_free(&mut *write, moment, link_at, side, &batch.items, &done).await {
            let _ = write.rollback().await;
            self.drop_pending(home, &conflicts, &[]).await?;
            return Err(error);
        }
        let pairs: Vec<(usize, Pair, bool)> =
            done.into_iter().map(|done| self.pair_after(link, side, &batch.items[done.at], done)).collect();
        let kept: Vec<Vec<u8>> = conflicts
            .iter()
            .filter(|(at, _)| pairs.iter().any(|(written, ..)| written == at))
            .map(|(_, conflict)| conflict.id.clone())
            .collect();
        let receipts = if home {
            self.record_here(&mut *write, link, side, &pairs, &conflicts, &kept).await?;
            Vec::new()
        } else {
            self.write_receipts(&mut *write, link, side, &pairs).await?
        };
        self.door.step("apply.recorded").await?;
        write.commit().await?;
        self.door.step("apply.committed").await?;
        if !home {
            let absorbed = self.absorb_now(link_at, link, side, &receipts, &kept).await;
            absorbed.map_err(|error| if error.kind() == Kind::Fenced { error } else { unabsorbed(error) })?;
            self.drop_pending(home, &conflicts, &kept).await?;
        }
        for (at, cause) in job.busy {
            fates[at] = Fate::Busy(cause);
        }
        for (at, pair, _) in pairs {
            batch.items[at].pair = Some(pair);
            batch.items[at].linking = false;
            fates[at] = Fate::Written;
        }
        Ok(())
    }

    /// A key that a live pair still holds, or that the unread log names, was given out again: its record was
    /// deleted or got another key, and the log has yet to say which. The create comes again when it has.
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
        if !matches!(link.collection[side].table.key_source, KeySource::GeneratedReused | KeySource::Given) {
            return Ok(());
        }
        let created: Vec<(&KeyBytes, Option<i64>)> = done
            .iter()
            .filter(|done| matches!(done.what, Do::Create(_)))
            .filter_map(|done| Some((done.key.as_ref()?, items[done.at].pair.as_ref().map(|pair| pair.id))))
            .collect();
        if created.is_empty() {
            return Ok(());
        }
        let keys: Vec<KeyBytes> = created.iter().map(|(key, _)| (*key).clone()).collect();
        let holders = match self.is_home(link, side) {
            true => state::by_key(write.session(), link, side, &keys).await?,
            false => state::by_key(&mut *self.home_session().await?, link, side, &keys).await?,
        };
        let own = |pair: &Pair| created.iter().any(|(key, id)| pair.key[side].as_ref() == Some(*key) && *id == Some(pair.id));
        let keys: Vec<Key> = keys.iter().filter_map(KeyBytes::decode).collect();
        let (window, place) = moment.window(link_at, link, side);
        if holders.iter().all(own) && window.unread(place, &keys).await?.is_empty() {
            return Ok(());
        }
        Err(Error::new(Kind::Stale, "its new key was another record's, which the log has yet to explain"))
    }

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
    async fn drop_pending(&self, home: bool, conflicts: &[(usize, Conflict)], kept: &[Vec<u8>]) -> Result<()> {
        let dropped: Vec<Vec<u8>> =
            conflicts.iter().map(|(_, conflict)| conflict.id.clone()).filter(|id| !kept.contains(id)).collect();
        if home || dropped.is_empty() {
            return Ok(());
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::drop_conflicts(&mut *tx, &dropped).await?;
        tx.commit().await
    }

    /// Data and map in one transaction: this endpoint holds the state.
    async fn record_here(
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
    async fn write_receipts(
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
    async fn absorb_now(
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

/// The write stands, and only its receipt knows: whatever went wrong, nothing may be decided before it is
/// absorbed.
fn unabsorbed(error: Error) -> Error {
    Error::new(Kind::InDoubt, format!("the write is committed, but not recorded yet: {}", error.message()))
}

fn creates(item: &Item) -> bool {
    matches!(item.decision.as_ref().map(|decision| &decision.action), Some(Action::Create(..)))
}

/// The items of a batch that are to be written on a side.
pub(super) fn still_to_write(side: Side, batch: &Batch, fates: &[Fate]) -> Vec<usize> {
    (0..batch.items.len())
        .filter(|at| fates[*at] != Fate::Written || has_more(&batch.items[*at], side))
        .filter(|at| !matches!(fates[*at], Fate::Busy(_) | Fate::Refused(_)))
        .filter(|at| todo(&batch.items[*at], side).is_some())
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

/// Whether an item that was written on one side still has something to write on this one.
fn has_more(item: &Item, side: Side) -> bool {
    match item.decision.as_ref().map(|decision| &decision.action) {
        Some(Action::Update(update)) => !update.source.is_empty() && !update.target.is_empty() && !update.writes(side).is_empty(),
        _ => false,
    }
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

/// The decision of an item, which every item of a decided batch has.
pub(super) fn decision(item: &Item) -> Option<&Decision> {
    item.decision.as_ref()
}
