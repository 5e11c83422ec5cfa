//! Made again: a record of a table that is in several links was gone, and one of them has made it again there. For the
//! others it is the record they have lost, also where no `match:` could tell: none of them makes another one.

use std::collections::{HashMap, HashSet};

use super::item::{Item, Slot};
use super::{Mode, Pipeline};
use crate::error::Result;
use crate::model::{KeyBytes, Link, Pair, PairStatus, Side, work_name};
use crate::reconcile::{Action, Situation};
use crate::sql::Session;
use crate::state;

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
            let pairs = state::by_former(session, link, side, &formers).await?;
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
            let pairs = state::by_key(session, other, at, &keys).await?;
            before.extend(pairs.into_iter().filter_map(|pair| Some((pair.key[at].clone()?, pair.former[at].clone()?))));
        }
        Ok(before)
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
