//! Survivors: rows whose twins were deleted. What our own writes have set off on such a row (a cascade, a trigger of the
//! application's) is no change of anybody's, and does not stand against the delete.

use std::collections::{HashMap, HashSet};

use super::capture::Moment;
use super::item::{Item, Slot};
use super::{Pipeline, WINDOW_MAX};
use crate::endpoint::Unread;
use crate::error::Result;
use crate::model::{Base, Deletes, Key, KeyBytes, Link, Pair, Row, Side};
use crate::reconcile::{Action, Dirty, Situation};
use crate::sql::Session;

/// Survivors that nobody but us has written since their pair was settled: by link and side, keys and pairs.
///
/// Only what this process has read of the logs: about others nothing is known, and a change of theirs is a user's.
#[derive(Default)]
pub(super) struct Survivors {
    untouched: HashMap<(i64, Side), HashMap<KeyBytes, i64>>,
    count: usize,
}

impl Survivors {
    /// A pair that was settled until now has lost its other side. Of more than a window's worth, those before are forgotten.
    fn remember(&mut self, link: i64, side: Side, key: KeyBytes, pair: i64) {
        if self.count >= WINDOW_MAX {
            *self = Survivors::default();
        }
        let known = self.untouched.entry((link, side)).or_default().insert(key, pair);
        self.count += usize::from(known.is_none());
    }

    /// Entries were read: what others have written is not ours any more.
    pub(super) fn read(&mut self, link: i64, side: Side, dirty: &[Dirty]) {
        let Some(untouched) = self.untouched.get_mut(&(link, side)) else { return };
        for dirty in dirty.iter().filter(|dirty| !dirty.own) {
            self.count -= usize::from(untouched.remove(&dirty.key).is_some());
        }
    }

    /// Nothing is known about the rows of this link: they were truncated, or are compared.
    pub(super) fn forget(&mut self, link: i64) {
        for side in Side::BOTH {
            self.count -= self.untouched.remove(&(link, side)).map_or(0, |keys| keys.len());
        }
    }

    fn knows(&self, link: i64, side: Side, key: &KeyBytes, pair: i64) -> bool {
        self.untouched.get(&(link, side)).and_then(|keys| keys.get(key)) == Some(&pair)
    }

    /// A pair is decided for good.
    fn settle(&mut self, link: i64, side: Side, key: &KeyBytes) {
        let untouched = self.untouched.get_mut(&(link, side));
        self.count -= usize::from(untouched.is_some_and(|keys| keys.remove(key).is_some()));
    }
}

impl Pipeline {
    /// Pairs that have just lost `lost` and had nothing left to be done: what becomes of their survivors is watched.
    pub(super) async fn watch_survivors(
        &mut self,
        session: &mut dyn Session,
        link: &Link,
        lost: Side,
        pairs: &[&Pair],
    ) -> Result<()> {
        let survivor = lost.other();
        if link.deletes != Deletes::Delete || pairs.is_empty() || !self.writes_alone(link, survivor) {
            return Ok(());
        }
        // Until a compare has passed everybody, the log may be short of what users did (A11).
        if self.compare_of(session, link).await?.is_some() {
            return Ok(());
        }
        let mut open = HashSet::new();
        for side in Side::BOTH.into_iter().filter(|_| self.has_work) {
            let key = |pair: &&Pair| if side == lost { pair.former[side].clone() } else { pair.key[side].clone() };
            let names: Vec<KeyBytes> = pairs.iter().filter_map(key).collect();
            let work = self.read_work(session, link, side, &names).await?;
            open.extend(work.into_iter().map(|work| (side, work.key)));
        }
        for pair in pairs {
            let (Some(key), Some(former)) = (&pair.key[survivor], &pair.former[lost]) else { continue };
            if !open.contains(&(survivor, key.clone())) && !open.contains(&(lost, former.clone())) {
                self.survivors.remember(link.number, survivor, key.clone(), pair.id);
            }
        }
        Ok(())
    }

    /// Whether what this integration writes to a table, whose log says so, can be nothing but this link's doing: another link's write
    /// may be what a user has changed in a third table.
    fn writes_alone(&self, link: &Link, side: Side) -> bool {
        let place = |link: &Link, side: Side| (link.endpoint[side], link.collection[side].table.name.clone());
        let here = place(link, side);
        let others = self.integration.links.iter().filter(|other| other.number != link.number);
        self.endpoints[link.endpoint[side]].tracking().is_some()
            && !others.flat_map(|other| Side::BOTH.map(|side| place(other, side))).any(|place| place == here)
    }

    /// Survivors that are not as they were: whether nobody but us was it. While the log knows more about them than was read,
    /// nothing is concluded.
    pub(super) async fn tell_set_off(&self, moment: &mut Moment, link_at: usize, link: &Link, items: &mut [Item]) -> Result<()> {
        for side in Side::BOTH {
            let named = |item: &Item| {
                let pair = item.pair.as_ref().filter(|_| item.decision.is_none() && item.todo.lost.is_some())?;
                let key = pair.key[side].as_ref().filter(|_| item.todo.side == side.other())?;
                let watched = self.survivors.knows(link.number, side, key, pair.id) && is_other(pair, &item.slot[side], side);
                watched.then(|| key.clone())
            };
            let keys: Vec<Key> = items.iter().filter_map(named).filter_map(|key| key.decode()).collect();
            if keys.is_empty() {
                continue;
            }
            let (window, place) = moment.window(link_at, link, side);
            let unread = window.unread(place, &keys, Unread::Writes).await?;
            for item in items.iter_mut() {
                let Some(key) = named(item) else { continue };
                if unread.contains(&key) {
                    item.decide_as(Situation::Undecided, Action::Retry);
                } else {
                    item.only_set_off = true;
                }
            }
        }
        Ok(())
    }

    /// What was decided about a survivor is done.
    pub(super) fn settle_survivor(&mut self, link: &Link, item: &Item) {
        let side = item.todo.side.other();
        if let Some(key) = item.key[side].as_ref().filter(|_| item.todo.lost.is_some()) {
            self.survivors.settle(link.number, side, key);
        }
    }
}

/// Whether a row is not the one the two sides agreed on.
fn is_other(pair: &Pair, slot: &Slot, side: Side) -> bool {
    let differs = |row: &Row| {
        let same = |(at, base): (usize, &Option<Base>)| base.is_some_and(|base| base.seen[side] == row[at].fingerprint());
        !pair.bases.iter().enumerate().all(same)
    };
    slot.row().is_some_and(differs)
}
