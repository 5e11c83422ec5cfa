//! Made again: a record of a table that is in several links was gone, and one of them has made it again there. For the
//! others it is the record they have lost, also where no `match:` could tell: none of them makes another one.

use std::collections::{HashMap, HashSet};

use super::item::{Item, Slot};
use super::{Mode, Pipeline};
use crate::error::Result;
use crate::model::{KeyBytes, Link, Pair, PairStatus, Side, Work, work_name};
use crate::reconcile::{Action, Situation};
use crate::sql::Session;
use crate::state;

/// Pairs of another link, which have lost a record under another key than they knew of.
pub(super) struct LostAgain {
    /// The link's number.
    link: i64,
    pairs: Vec<Pair>,
    /// What the worklist says of them, and what it is to say.
    before: Vec<(Side, KeyBytes)>,
    now: Vec<Work>,
}

impl Pipeline {
    /// The other links on the table of a side, and which side it is of them.
    pub(super) fn beside(&self, link: &Link, side: Side) -> Vec<(&Link, Side)> {
        let (endpoint, table) = (link.endpoint[side], &link.collection[side].table.name);
        let there = |one: &&Link, at: Side| one.endpoint[at] == endpoint && one.collection[at].table.name == *table;
        let others = self.integration.links.iter().filter(|other| other.number != link.number);
        others.flat_map(|other| Side::BOTH.into_iter().filter(move |at| there(&other, *at)).map(move |at| (other, at))).collect()
    }

    /// Unknown records that another link has made again: each is the one that a pair of this link has lost under the same key.
    pub(super) async fn take_in_made_again(&mut self, session: &mut dyn Session, link: &Link, items: &mut [Item]) -> Result<()> {
        let (mut back, mut names) = (Vec::new(), Vec::new());
        for side in Side::BOTH {
            let lost = self.lost_before(session, link, side, items).await?;
            let formers: Vec<KeyBytes> = lost.values().cloned().collect();
            if formers.is_empty() {
                continue;
            }
            let linked = |pair: &Pair| pair.status == PairStatus::Linked;
            let pairs = self.pairs_by_former(session, link, side, &formers).await?;
            let mut pairs: HashMap<KeyBytes, Pair> =
                pairs.into_iter().filter(linked).filter_map(|pair| Some((pair.former[side].clone()?, pair))).collect();
            for item in items.iter_mut().filter(|item| item.unknown(side)) {
                let Some(former) = lost.get(&item.todo.key) else { continue };
                let Some(mut pair) = pairs.remove(former) else { continue };
                if pair.cycle == self.cycle || item.slot[side] == Slot::Absent {
                    item.decide_as(Situation::Undecided, Action::Retry);
                    continue;
                }
                names.push((side, work_name(former, Some(pair.id))));
                (pair.key[side], pair.former[side]) = (Some(item.todo.key.clone()), None);
                pair.pos[side] = pair.pos[side].max(item.todo.pos);
                pair.ver += 1;
                back.push(pair.clone());
                item.set_pair(pair);
            }
        }
        self.record_found_again(link, &back, &names).await
    }

    /// Of the unknown records of a side that another link has made again: the keys they had before, by the ones they have now.
    async fn lost_before(
        &self,
        session: &mut dyn Session,
        link: &Link,
        side: Side,
        items: &[Item],
    ) -> Result<HashMap<KeyBytes, KeyBytes>> {
        let mut before = HashMap::new();
        let keys: Vec<KeyBytes> = items.iter().filter(|item| item.unknown(side)).map(|item| item.todo.key.clone()).collect();
        if keys.is_empty() {
            return Ok(before);
        }
        for (other, at) in self.beside(link, side) {
            let pairs = self.pairs_by_key(session, other, at, &keys).await?;
            before.extend(pairs.into_iter().filter_map(|pair| Some((pair.key[at].clone()?, pair.former[at].clone()?))));
        }
        Ok(before)
    }

    /// The keys that records had before they were made again, by the pairs that have them, as far as other links may have lost them.
    pub(super) fn made_before(&self, link: &Link, side: Side, pairs: &[Pair]) -> HashMap<i64, KeyBytes> {
        if self.beside(link, side).is_empty() {
            return HashMap::new();
        }
        pairs.iter().filter(|pair| !pair.gone(side)).filter_map(|pair| Some((pair.id, pair.former[side].clone()?))).collect()
    }

    /// What was made again and is lost again, before another link has read it: that one has lost it under the key it had last, or
    /// nothing would show any more that both have lost the same record, and each would make one of its own. `before`: as
    /// [`Pipeline::made_before`] says.
    pub(super) async fn lost_again(
        &self,
        session: &mut dyn Session,
        link: &Link,
        side: Side,
        lost: &[&Pair],
        before: &HashMap<i64, KeyBytes>,
    ) -> Result<Vec<LostAgain>> {
        let last: HashMap<KeyBytes, &Pair> =
            lost.iter().filter_map(|pair| Some((before.get(&pair.id)?.clone(), *pair))).collect();
        let keys: Vec<KeyBytes> = last.keys().cloned().collect();
        let mut all = Vec::new();
        for (other, at) in self.beside(link, side).into_iter().filter(|_| !last.is_empty()) {
            let mut pairs = state::by_former(session, other, at, &keys).await?;
            pairs.retain(|pair| pair.status == PairStatus::Linked);
            let name = |pair: &Pair| Some(work_name(pair.former[at].as_ref()?, Some(pair.id)));
            let names: Vec<KeyBytes> = pairs.iter().filter_map(name).collect();
            let mut now = state::read_work(session, other, at, &names).await?;
            for work in &mut now {
                work.key = last.get(&work.key).and_then(|pair| pair.former[side].clone()).unwrap_or_default();
            }
            for pair in &mut pairs {
                let Some(made) = pair.former[at].as_ref().and_then(|key| last.get(key)) else { continue };
                pair.former[at].clone_from(&made.former[side]);
                pair.pos[at] = pair.pos[at].max(made.pos[side]);
                pair.ver += 1;
            }
            let before = names.into_iter().map(|name| (at, name)).collect();
            all.push(LostAgain { link: other.number, pairs, before, now });
        }
        Ok(all)
    }

    /// Records what [`Pipeline::lost_again`] has found.
    pub(super) async fn record_lost_again(&self, session: &mut dyn Session, again: &[LostAgain]) -> Result<()> {
        for LostAgain { link, pairs, before, now } in again {
            let Some(link) = self.integration.links.iter().find(|one| one.number == *link) else { continue };
            state::update(session, link, pairs).await?;
            state::delete_work(session, link, before).await?;
            state::write_work(session, now).await?;
        }
        Ok(())
    }

    /// A pair whose lost record another link has made again waits until that one is read.
    pub(super) async fn leave_made_again(&self, session: &mut dyn Session, link: &Link, items: &mut [Item]) -> Result<()> {
        if self.mode != Mode::Apply {
            return Ok(());
        }
        for side in Side::BOTH {
            let former =
                |item: &Item| item.pair.as_ref().filter(|pair| pair.gone(side)).and_then(|pair| pair.former[side].clone());
            let lost = |item: &Item| match item.decision.as_ref().map(|decision| &decision.action) {
                Some(Action::Create(to, _)) if *to == side => former(item),
                Some(Action::Delete(to, _)) if *to != side => former(item),
                _ => None,
            };
            let keys: Vec<KeyBytes> = items.iter().filter_map(lost).collect();
            if keys.is_empty() {
                continue;
            }
            // By the key it has now, the one it had.
            let mut made: HashMap<KeyBytes, KeyBytes> = HashMap::new();
            for (other, at) in self.beside(link, side) {
                let pairs = state::made_again(session, other, at, &keys).await?;
                made.extend(pairs.into_iter().filter_map(|pair| Some((pair.key[at].clone()?, pair.former[at].clone()?))));
            }
            // What this link knows already was another record's key before it was this one's.
            let now: Vec<KeyBytes> = made.keys().cloned().collect();
            for pair in state::by_key(session, link, side, &now).await? {
                pair.key[side].as_ref().and_then(|key| made.remove(key));
            }
            let made: HashSet<KeyBytes> = made.into_values().collect();
            for item in items.iter_mut().filter(|item| lost(item).is_some_and(|key| made.contains(&key))) {
                item.decide_as(Situation::Undecided, Action::Retry);
            }
        }
        Ok(())
    }
}
