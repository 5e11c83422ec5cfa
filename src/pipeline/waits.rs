//! Who waits for whom: a child for its parent's twin, and the delete of a parent for the children it would take along, or that
//! are still to leave it.

use std::collections::{HashMap, HashSet};

use super::apply::{Fate, deletes};
use super::batch::{Batch, lost};
use super::cycle::Doing;
use super::item::Item;
use super::knots::references;
use super::{BATCH, Pipeline, WINDOW_MAX};
use crate::error::Result;
use crate::model::{Fingerprint, Key, KeyBytes, Link, Pair, Side, Value, Work, waited_for, waits_for};
use crate::sql::Session;
use crate::state;

impl Pipeline {
    /// Whether it may yet show that records which refer to one of this link have left it: their log is not read to its end, or
    /// they are compared.
    pub(super) async fn children_may_leave(&self, doing: &mut Doing<'_>, link_at: usize) -> Result<bool> {
        for child in self.children(link_at) {
            if doing.moment.more || self.compare_of(doing.session, child).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The links that go on whose records refer to those of this one.
    fn children(&self, link_at: usize) -> impl Iterator<Item = &Link> {
        let refers = move |at: &usize| self.integration.links[*at].fields.iter().any(|field| field.via == Some(link_at));
        self.going().into_iter().filter(refers).map(|at| &self.integration.links[at])
    }

    /// A record that is to be deleted stays as long as one that refers to it is not done with: what the server would make of
    /// that reference (`on delete set null`) would look like a change of the application's, and stand against the one that is
    /// on its way (A13). Looked for where children refer to it as far as both sides agree.
    pub(super) async fn wait_for_children(
        &self,
        session: &mut dyn Session,
        link_at: usize,
        batch: &Batch,
        fates: &mut [Fate],
    ) -> Result<()> {
        let link = &self.integration.links[link_at];
        for side in Side::BOTH {
            let ends: HashMap<Vec<Fingerprint>, usize> = (0..batch.items.len())
                .filter(|at| deletes(&batch.items[*at], side))
                .filter_map(|at| Some((parts_of(&batch.items[at].key[side].as_ref()?.decode()?), at)))
                .collect();
            if ends.is_empty() {
                continue;
            }
            for child in self.children(link_at) {
                for pair in self.unfinished_pairs(session, child, link.number).await? {
                    for (at, field) in child.fields.iter().enumerate().filter(|(_, field)| field.via == Some(link_at)) {
                        let part = |part: &usize| Some(pair.bases[*part]?.seen[side]);
                        let agreed: Option<Vec<Fingerprint>> = field.parts_of(&at, side).iter().map(part).collect();
                        if let Some(end) = agreed.and_then(|agreed| ends.get(&agreed)) {
                            let cause = format!("a record of {} that refers to it is still to be carried over", child.name);
                            fates[*end] = Fate::Busy(cause);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Pairs of a link that have both records, and are on its worklist, but for those that wait for one of `parents`: as many as a
    /// window holds.
    async fn unfinished_pairs(&self, session: &mut dyn Session, link: &Link, parents: i64) -> Result<Vec<Pair>> {
        let mut pairs = Vec::new();
        if !self.has_work {
            return Ok(pairs);
        }
        let waits =
            |work: &Work| work.waits.as_ref().and_then(|name| waited_for(name)).is_some_and(|(number, ..)| number == parents);
        let mut open = state::unfinished(session, link, WINDOW_MAX).await?;
        open.retain(|work| work.lost.is_none() && !waits(work));
        for part in open.chunks(BATCH) {
            for side in Side::BOTH {
                let keys: Vec<KeyBytes> = part.iter().filter(|work| work.side == side).map(|work| work.key.clone()).collect();
                pairs.extend(self.pairs_by_key(session, link, side, &keys).await?.into_iter().filter(|pair| !lost(pair)));
            }
        }
        Ok(pairs)
    }

    /// The parents of a record that was deleted, where one is held: its delete may have been refused for this one's sake.
    pub(super) fn held_above(&self, link: &Link, item: &Item, side: Side) -> Vec<Vec<u8>> {
        if self.holding.is_empty() {
            return Vec::new();
        }
        let above = references(link, item, side).map(|(via, key, _)| (self.integration.links[via].number, key));
        let held = above.filter(|(number, _)| self.holding.contains(number));
        held.map(|(number, key)| waits_for(number, side, &key)).collect()
    }

    /// The parents that records of a batch waited for until now, where one is held: its delete may have waited for these
    /// to go, or to be another's (rule 18).
    pub(super) async fn no_longer_waited_for(
        &self,
        session: &mut dyn Session,
        link: &Link,
        batch: &Batch,
        unfinished: &[Work],
    ) -> Result<Vec<Vec<u8>>> {
        let parents: Vec<i64> = link.fields.iter().filter_map(|field| Some(self.integration.links[field.via?].number)).collect();
        if !self.waiting.contains(&link.number) || !parents.iter().any(|parent| self.holding.contains(parent)) {
            return Ok(Vec::new());
        }
        let mut still: HashSet<(Side, KeyBytes, &Vec<u8>)> =
            unfinished.iter().filter_map(|work| Some((work.side, work.name(), work.waits.as_ref()?))).collect();
        // Who waits, waits under the names of both sides: else each would release the other for ever.
        let names: HashMap<(Side, KeyBytes), &Vec<u8>> =
            still.iter().map(|(side, name, waits)| ((*side, name.clone()), *waits)).collect();
        for item in &batch.items {
            let Some(waits) = names.get(&item.todo.name()) else { continue };
            still.extend(Side::BOTH.into_iter().filter_map(|side| Some((side, item.key[side].clone()?, *waits))));
        }
        let mut released = HashSet::new();
        for side in Side::BOTH {
            let met = batch.items.iter().map(|item| &item.todo).chain(&batch.settled).filter(|todo| todo.side == side);
            let live = batch.items.iter().filter_map(|item| item.key[side].clone());
            let names: HashSet<KeyBytes> = met.map(|todo| todo.name().1).chain(live).collect();
            let works = state::read_work(session, link, side, &names.into_iter().collect::<Vec<_>>()).await?;
            let over = |work: Work| {
                let waits = work.waits.clone()?;
                let held = waited_for(&waits).is_some_and(|(number, ..)| self.holding.contains(&number));
                (held && !still.contains(&(side, work.name(), &waits))).then_some(waits)
            };
            released.extend(works.into_iter().filter_map(over));
        }
        Ok(released.into_iter().collect())
    }
}

/// What a delete that was refused waits for: rows that refer to its record wait under the same name.
pub(super) fn refused_delete(link: &Link, item: &Item, fate: &Fate) -> Option<Vec<u8>> {
    let side = item.todo.side.other();
    let survivor = item.pair.as_ref().filter(|_| item.todo.lost.is_some())?.key[side].as_ref()?;
    matches!(fate, Fate::Refused(_)).then(|| waits_for(link.number, side, survivor))
}

fn parts_of(key: &Key) -> Vec<Fingerprint> {
    key.0.iter().map(Value::fingerprint).collect()
}
