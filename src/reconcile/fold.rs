//! From log entries to dirty keys and to marks on pairs.

use std::collections::{BTreeMap, HashMap};

use crate::model::{Entry, Key, KeyBytes, Op, Pair, PairStatus, Pos, Side};

/// A key that entries name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// The key.
    pub key: KeyBytes,
    /// The position of its last entry.
    pub pos: Pos,
    /// Whether all of its entries were written by this integration.
    pub own: bool,
    /// Whether the record that has the key now got it in these entries: the last that gave it or took it gave it.
    pub born: bool,
}

/// The dirty keys of one collection, each once, in the order in which they were first touched.
pub fn coalesce(entries: &[Entry]) -> Vec<Dirty> {
    let mut order: Vec<Dirty> = Vec::with_capacity(entries.len());
    let mut at: HashMap<KeyBytes, usize> = HashMap::with_capacity(entries.len());
    let mut touch = |order: &mut Vec<Dirty>, key: &Key, entry: &Entry, born: Option<bool>| {
        let key = key.encode();
        match at.get(&key) {
            Some(index) => {
                let dirty = &mut order[*index];
                dirty.pos = dirty.pos.max(entry.pos);
                dirty.own &= entry.own;
                dirty.born = born.unwrap_or(dirty.born);
            }
            None => {
                at.insert(key.clone(), order.len());
                order.push(Dirty { key, pos: entry.pos, own: entry.own, born: born.unwrap_or(false) });
            }
        }
    };
    for entry in entries {
        match &entry.op {
            // Whoever has one of these keys now got it later, by an entry that may not be read yet.
            Op::Truncate => order.iter_mut().for_each(|dirty| dirty.born = false),
            Op::Rename { to } => {
                touch(&mut order, &entry.key, entry, Some(false));
                touch(&mut order, to, entry, Some(true));
            }
            Op::Insert | Op::Replace | Op::Return { .. } => touch(&mut order, &entry.key, entry, Some(true)),
            Op::Delete => touch(&mut order, &entry.key, entry, Some(false)),
            Op::Update => touch(&mut order, &entry.key, entry, None),
        }
    }
    order
}

/// Pairs by the live key of one side, while entries are folded onto them.
#[derive(Debug, Default)]
pub struct PairIndex {
    pairs: BTreeMap<i64, Pair>,
    /// More than one, where a key was given out again before the log said that it was free.
    holders: HashMap<KeyBytes, Vec<i64>>,
    /// Those that lost a key, and where in the log.
    losers: HashMap<(KeyBytes, Pos), i64>,
}

impl PairIndex {
    /// The pairs that hold any key the entries name, or lost one that returns.
    pub fn new(pairs: Vec<Pair>, side: Side) -> PairIndex {
        let mut index = PairIndex::default();
        for pair in pairs {
            if let Some(key) = &pair.key[side] {
                index.holders.entry(key.clone()).or_default().push(pair.id);
            } else if let Some(key) = pair.former[side].clone().filter(|_| pair.status == PairStatus::Linked) {
                index.losers.insert((key, pair.pos[side]), pair.id);
            }
            index.pairs.insert(pair.id, pair);
        }
        index
    }
}

/// What folding did.
#[derive(Debug, Default)]
pub struct Folded {
    /// Pairs that changed, once each, with `ver` counted up by one.
    pub changed: Vec<Pair>,
    /// Ids of those that lost this side.
    pub lost: Vec<i64>,
    /// Ids of those that have another live key on this side.
    pub moved: Vec<i64>,
    /// Ids of those that had lost this side, and have it again.
    pub returned: Vec<i64>,
    /// Whether the whole collection must be compared.
    pub truncated: bool,
}

/// The records that entries have put back ([`Op::Replace`], [`Op::Return`]): the place of the entry, and the key the record
/// has after all of them. One that is gone again by then is none of them: its end is told by another entry.
pub fn put_back(entries: &[Entry]) -> Vec<(usize, Key)> {
    let mut put_back = Vec::new();
    // From the last entry to the first: where the record that has a key at this point ends, if not under that key.
    let mut ends: HashMap<KeyBytes, Option<Key>> = HashMap::new();
    for (at, entry) in entries.iter().enumerate().rev() {
        let key = entry.key.encode();
        match &entry.op {
            Op::Replace | Op::Return { .. } => {
                let end = ends.get(&key).cloned().unwrap_or_else(|| Some(entry.key.clone()));
                put_back.extend(end.map(|end| (at, end)));
            }
            Op::Rename { to } => {
                let end = ends.insert(to.encode(), None).unwrap_or_else(|| Some(to.clone()));
                ends.insert(key, end);
            }
            Op::Insert | Op::Delete => {
                ends.insert(key, None);
            }
            Op::Update | Op::Truncate => {}
        }
    }
    put_back
}

/// Folds deletes and renames onto the pairs, in log order, each guarded by its position: an entry
/// is evidence only for the pair that held the key before it was written (rule 6). It only marks;
/// acting on marks is under the brake. `same`: whether what an entry, by its place, has put back is the record of that pair.
pub fn fold(entries: &[Entry], side: Side, mut index: PairIndex, same: &dyn Fn(usize, &Pair) -> bool) -> Folded {
    let mut folded = Folded::default();
    let mut touched: BTreeMap<i64, bool> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        match &entry.op {
            Op::Delete => {
                if let Some(id) = index.holds(&entry.key, side, entry.pos) {
                    index.release(id, side, entry.pos);
                    touched.insert(id, true);
                }
            }
            Op::Rename { to } => {
                let renamed = index.holds(&entry.key, side, entry.pos);
                // The key was free, or this statement could not have been: its last holder is gone, also where
                // the record that has it now is not in the map yet.
                if let Some(other) = index.holds(to, side, entry.pos).filter(|other| Some(*other) != renamed) {
                    index.release(other, side, entry.pos);
                    touched.insert(other, true);
                }
                if let Some(id) = renamed {
                    index.rename(id, side, to.encode(), entry.pos);
                    touched.insert(id, true);
                }
            }
            Op::Replace => {
                if let Some(id) = index.holds(&entry.key, side, entry.pos) {
                    match index.pairs.get_mut(&id).filter(|pair| same(at, pair)) {
                        Some(pair) => {
                            pair.pos[side] = entry.pos;
                            touched.entry(id).or_insert(false);
                        }
                        // Another one, under a key that was given out again at once.
                        None => {
                            index.release(id, side, entry.pos);
                            touched.insert(id, true);
                        }
                    }
                }
            }
            Op::Return { deleted } => {
                // What was marked lost is the same record with a new row (A20).
                if let Some(id) = index.returns(&entry.key, side, *deleted, entry.pos, &|pair| same(at, pair)) {
                    folded.returned.push(id);
                    touched.insert(id, true);
                }
            }
            // The key was free, or this row could not have been: its last holder went without a trace, by TRUNCATE
            // or in a table that was dropped. Whether it is back, its values say (rule 8).
            Op::Insert if !entry.own => {
                if let Some(id) = index.holds(&entry.key, side, entry.pos) {
                    index.release(id, side, entry.pos);
                    touched.insert(id, true);
                }
            }
            Op::Truncate => folded.truncated = true,
            Op::Insert | Op::Update => {}
        }
    }
    folded.returned.sort_unstable();
    for id in touched.keys() {
        index.give_way(*id, side);
    }
    for (id, moved) in touched {
        let Some(mut pair) = index.pairs.remove(&id) else { continue };
        pair.ver += 1;
        if pair.gone(side) {
            folded.lost.push(id);
        } else if moved {
            folded.moved.push(id);
        }
        folded.changed.push(pair);
    }
    folded
}

impl PairIndex {
    /// The newest holder of a key that is older than an entry at `pos`.
    fn holds(&self, key: &Key, side: Side, pos: Pos) -> Option<i64> {
        let older = |pair: &&Pair| pair.pos[side] < pos;
        let pairs = self.holders.get(&key.encode())?.iter().filter_map(|id| self.pairs.get(id));
        pairs.filter(older).max_by_key(|pair| (pair.pos[side], pair.id)).map(|pair| pair.id)
    }

    /// Gives the pair that lost this key by the delete at `deleted` its key again, if that is `same`.
    fn returns(&mut self, key: &Key, side: Side, deleted: Pos, pos: Pos, same: &dyn Fn(&Pair) -> bool) -> Option<i64> {
        let id = self.losers.remove(&(key.encode(), deleted))?;
        let pair = self.pairs.get_mut(&id).filter(|pair| same(pair))?;
        pair.pos[side] = pos;
        pair.key[side] = pair.former[side].take();
        self.holders.entry(key.encode()).or_default().push(id);
        Some(id)
    }

    fn let_go(&mut self, key: &KeyBytes, id: i64) {
        if let Some(holders) = self.holders.get_mut(key) {
            holders.retain(|holder| *holder != id);
        }
    }

    fn release(&mut self, id: i64, side: Side, pos: Pos) {
        let Some(pair) = self.pairs.get_mut(&id) else { return };
        pair.pos[side] = pos;
        if let Some(key) = pair.key[side].take() {
            pair.former[side] = Some(key.clone());
            self.let_go(&key, id);
        }
    }

    fn rename(&mut self, id: i64, side: Side, to: KeyBytes, pos: Pos) {
        let Some(pair) = self.pairs.get_mut(&id) else { return };
        pair.pos[side] = pos;
        if let Some(key) = pair.key[side].replace(to.clone()) {
            self.let_go(&key, id);
        }
        self.holders.entry(to).or_default().push(id);
    }

    /// Where a newer record has the key, the log will yet say how this one lost it.
    fn give_way(&mut self, id: i64, side: Side) {
        let Some(pair) = self.pairs.get(&id) else { return };
        let (pos, Some(key)) = (pair.pos[side], pair.key[side].clone()) else { return };
        let newer = |other: &&i64| **other != id && self.pairs.get(*other).is_some_and(|other| other.pos[side] > pos);
        if self.holders.get(&key).is_some_and(|holders| holders.iter().any(|other| newer(&other))) {
            self.release(id, side, pos);
        }
    }
}
