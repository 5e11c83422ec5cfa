//! What a plan supposes: the map and the worklist as a run would have recorded them by then.
//!
//! A plan writes nothing, and yet is decided by the steps of a run: those read the map through here, and see what the logs have
//! done to it. When nothing is planned, nothing is supposed, and what the state holds is what they see.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use super::Pipeline;
use super::awaited::Waiter;
use super::capture::Moment;
use super::item::Item;
use super::translate::Foreseen;
use crate::error::Result;
use crate::model::{Both, KeyBytes, Link, Pair, Reason, Scan, ScanPart, Side, Work, work_name};
use crate::sql::Session;
use crate::state;

/// An entry of the worklist: its link, side and name.
type Name = (i64, Side, KeyBytes);

/// What the state does not hold, though a run's would. As much as one window of the logs can be about.
#[derive(Default)]
pub(super) struct Supposed {
    /// Pairs that the logs have marked, by id.
    pairs: BTreeMap<i64, Pair>,
    /// What of the worklist was added.
    works: BTreeMap<Name, Work>,
    /// What of it was taken off.
    off: HashSet<Name>,
    /// Links, by number, that are to be compared because a table was truncated.
    compared: HashSet<i64>,
    /// What the compare of a link, by number, will find to be gone.
    missing: HashMap<i64, Missing>,
    /// Links, by number, and sides whose brake will trip when the link is compared.
    trips: HashSet<(i64, Side)>,
    /// Links, by number, whose brake was lifted: what it held is due.
    released: HashSet<i64>,
    /// Records that were decided because the logs name them.
    met: HashSet<Name>,
    /// Records that wait for a parent.
    pub(super) waiting: Vec<Waiter>,
    /// What will be of those that waited for one: by the place of their link, side and key.
    pub(super) resolved: HashMap<(usize, Side, KeyBytes), Foreseen>,
}

/// What a full compare will find to have lost a side, and on which sides another table stands.
#[derive(Clone, Copy, Default)]
pub(super) struct Missing {
    pub(super) records: Both<u64>,
    pub(super) replaced: Both<bool>,
    /// The sides about which that was asked.
    pub(super) asked: Both<bool>,
    /// Whether a run looks for it before anything else.
    pub(super) first: bool,
}

impl Supposed {
    /// Pairs are marked, and on the worklist if they lost a side. Returns those that were supposed to be otherwise before.
    pub(super) fn record(&mut self, pairs: &[Pair], lost: &[Work]) -> Vec<Pair> {
        let before = pairs.iter().filter_map(|pair| self.pairs.insert(pair.id, pair.clone())).collect();
        for work in lost {
            let name = (work.link, work.side, work.name());
            self.off.remove(&name);
            self.works.insert(name, work.clone());
        }
        before
    }

    /// Those are as they were.
    pub(super) fn forget(&mut self, pairs: &[Pair], lost: &[Work]) {
        pairs.iter().for_each(|pair| _ = self.pairs.remove(&pair.id));
        lost.iter().for_each(|work| _ = self.works.remove(&(work.link, work.side, work.name())));
    }

    /// These leave the worklist.
    pub(super) fn take_off(&mut self, link: &Link, names: &[(Side, KeyBytes)]) {
        for (side, name) in names {
            let name = (link.number, *side, name.clone());
            self.works.remove(&name);
            self.off.insert(name);
        }
    }

    pub(super) fn compare(&mut self, link: &Link) {
        self.compared.insert(link.number);
    }

    pub(super) fn misses(&mut self, link: &Link, missing: Missing) {
        self.missing.insert(link.number, missing);
    }

    pub(super) fn missing(&self, link: &Link) -> Missing {
        self.missing.get(&link.number).copied().unwrap_or_default()
    }

    /// Whether it takes a compare to tell how many records of a side are gone.
    pub(super) fn found_late(&self, link: &Link, lost: Side) -> bool {
        self.missing.get(&link.number).is_some_and(|missing| !missing.replaced[lost] && !missing.first)
    }

    pub(super) fn trip(&mut self, link: &Link, written: Side) {
        self.trips.insert((link.number, written));
    }

    pub(super) fn trips(&self, link: &Link, written: Side) -> bool {
        self.trips.contains(&(link.number, written))
    }

    pub(super) fn release(&mut self, link: &Link) {
        self.released.insert(link.number);
    }

    /// Whether a brake held this, and is lifted.
    pub(super) fn releases(&self, work: &Work) -> bool {
        work.reason == Reason::Braked && self.released.contains(&work.link)
    }

    /// What the logs name is decided once, whatever else it is listed under.
    pub(super) fn meet(&mut self, link_at: usize, link: &Link, moment: &Moment, items: &[Item]) {
        let named = |item: &&Item| {
            let live = |side: Side| item.pair.as_ref()?.key[side].as_ref().map(|key| moment.names(link_at, side, key));
            moment.names(link_at, item.todo.side, &item.todo.key) || Side::BOTH.into_iter().filter_map(live).any(|named| named)
        };
        for item in items.iter().filter(named) {
            let mut meet = |side: Side, name: KeyBytes| self.met.insert((link.number, side, name));
            let (side, name) = item.todo.name();
            meet(side, name);
            for (pair, side) in item.pair.iter().flat_map(|pair| Side::BOTH.map(|side| (pair, side))) {
                pair.key[side].iter().for_each(|key| _ = meet(side, key.clone()));
                pair.former[side].iter().for_each(|key| _ = meet(side, work_name(key, Some(pair.id))));
            }
        }
    }

    pub(super) fn met(&self, link: &Link, (side, name): (Side, KeyBytes)) -> bool {
        self.met.contains(&(link.number, side, name))
    }

    /// A link is gone through once more; so many waited before.
    pub(super) fn begin_again(&mut self, link: &Link, waited: usize) {
        self.met.retain(|(number, ..)| *number != link.number);
        self.waiting.truncate(waited);
    }

    /// Pairs of a link that were asked for by these, as they are supposed to be; `by` tells by what each is found.
    fn pairs<T: Eq + Hash>(&self, link: &Link, mut found: Vec<Pair>, asked: &[T], by: impl Fn(&Pair) -> Option<&T>) -> Vec<Pair> {
        if !self.pairs.is_empty() {
            let asked: HashSet<&T> = asked.iter().collect();
            let wanted = |pair: &&Pair| pair.link == link.number && by(pair).is_some_and(|by| asked.contains(by));
            found.retain(|pair| !self.pairs.contains_key(&pair.id));
            found.extend(self.pairs.values().filter(wanted).cloned());
        }
        found
    }

    fn changes_work_of(&self, link: &Link) -> bool {
        self.works.keys().chain(&self.off).any(|(number, ..)| *number == link.number)
    }

    /// Whether an entry that the state has is still as it has it.
    fn keeps(&self, work: &Work) -> bool {
        let name = (work.link, work.side, work.name());
        !self.off.contains(&name) && !self.works.contains_key(&name)
    }
}

impl Pipeline {
    /// As [`state::by_key`].
    pub(super) async fn pairs_by_key(
        &self,
        session: &mut dyn Session,
        link: &Link,
        side: Side,
        keys: &[KeyBytes],
    ) -> Result<Vec<Pair>> {
        let found = state::by_key(session, link, side, keys).await?;
        Ok(self.supposed.pairs(link, found, keys, |pair| pair.key[side].as_ref()))
    }

    /// As [`state::by_former`].
    pub(super) async fn pairs_by_former(
        &self,
        session: &mut dyn Session,
        link: &Link,
        side: Side,
        keys: &[KeyBytes],
    ) -> Result<Vec<Pair>> {
        let found = state::by_former(session, link, side, keys).await?;
        Ok(self.supposed.pairs(link, found, keys, |pair| pair.former[side].as_ref().filter(|_| pair.gone(side))))
    }

    /// As [`state::by_id`].
    pub(super) async fn pairs_by_id(&self, session: &mut dyn Session, link: &Link, ids: &[i64]) -> Result<Vec<Pair>> {
        let found = state::by_id(session, link, ids).await?;
        Ok(self.supposed.pairs(link, found, ids, |pair| Some(&pair.id)))
    }

    /// As [`state::page`].
    pub(super) async fn page_of_pairs(
        &self,
        session: &mut dyn Session,
        link: &Link,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Pair>> {
        let mut page = state::page(session, link, after, limit).await?;
        for pair in &mut page {
            if let Some(supposed) = self.supposed.pairs.get(&pair.id) {
                *pair = supposed.clone();
            }
        }
        Ok(page)
    }

    /// As [`state::scan`].
    pub(super) async fn compare_of(&self, session: &mut dyn Session, link: &Link) -> Result<Option<Scan>> {
        let scan = state::scan(session, link).await?;
        let asked = self.supposed.compared.contains(&link.number);
        let new = || Scan { link: link.number, part: ScanPart::Recheck(Both::default()), after: None, asked: self.door.now() };
        Ok(scan.or_else(|| asked.then(new)))
    }

    /// As [`state::read_work`].
    pub(super) async fn read_work(
        &self,
        session: &mut dyn Session,
        link: &Link,
        side: Side,
        names: &[KeyBytes],
    ) -> Result<Vec<Work>> {
        let mut found = state::read_work(session, link, side, names).await?;
        if self.supposed.changes_work_of(link) {
            found.retain(|work| self.supposed.keeps(work));
            let added = names.iter().filter_map(|name| self.supposed.works.get(&(link.number, side, name.clone())));
            found.extend(added.cloned());
        }
        Ok(found)
    }

    /// As [`state::list_work`].
    pub(super) async fn list_work(
        &self,
        session: &mut dyn Session,
        link: &Link,
        mut after: Option<(Side, KeyBytes)>,
        limit: usize,
    ) -> Result<Vec<Work>> {
        loop {
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut page = state::list_work(session, link, after.clone(), most).await?;
            if !self.supposed.changes_work_of(link) {
                return Ok(page);
            }
            // Behind the last one of a full page stand others that were not read.
            let last = page.last().filter(|_| page.len() >= limit).map(|work| (work.side, work.name()));
            page.retain(|work| self.supposed.keeps(work));
            let here = |work: &&Work| {
                let name = Some((work.side, work.name()));
                work.link == link.number && name > after && (last.is_none() || name <= last)
            };
            page.extend(self.supposed.works.values().filter(here).cloned());
            page.sort_by_key(|work| (work.side, work.name()));
            page.truncate(limit);
            if !page.is_empty() || last.is_none() {
                return Ok(page);
            }
            after = last;
        }
    }

    /// As [`state::work_counts`].
    pub(super) async fn work_counts(&self, session: &mut dyn Session, link: &Link) -> Result<BTreeMap<(Reason, Side), u64>> {
        let mut counts = state::work_counts(session, link).await?;
        if !self.supposed.changes_work_of(link) {
            return Ok(counts);
        }
        for side in Side::BOTH {
            let names = self.supposed.works.keys().chain(&self.supposed.off);
            let names = names.filter(|(number, at, _)| *number == link.number && *at == side).map(|(.., name)| name.clone());
            for work in state::read_work(session, link, side, &names.collect::<Vec<_>>()).await? {
                let count = counts.entry((work.reason, side)).or_default();
                *count = count.saturating_sub(1);
            }
        }
        for work in self.supposed.works.values().filter(|work| work.link == link.number) {
            *counts.entry((work.reason, work.side)).or_default() += 1;
        }
        counts.retain(|_, count| *count > 0);
        Ok(counts)
    }
}
