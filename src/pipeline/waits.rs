//! Who waits for whom: a child for its parent's twin, and the delete of a parent for the children it would take along.

use std::collections::HashSet;

use super::Pipeline;
use super::apply::Fate;
use super::batch::Batch;
use super::item::Item;
use super::knots::references;
use crate::error::Result;
use crate::model::{KeyBytes, Link, Side, Work, waited_for, waits_for};
use crate::sql::Session;
use crate::state;

impl Pipeline {
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
        let still: HashSet<(Side, KeyBytes, &Vec<u8>)> =
            unfinished.iter().filter_map(|work| Some((work.side, work.name(), work.waits.as_ref()?))).collect();
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
