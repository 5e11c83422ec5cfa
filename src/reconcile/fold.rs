//! From log entries to dirty keys and to marks on pairs.

use std::collections::{BTreeMap, HashMap};

use super::told::Late;
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
            Op::Insert | Op::Replace | Op::PutBack | Op::Return { .. } => touch(&mut order, &entry.key, entry, Some(true)),
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
    /// Ids of those that lost this side to a record that may be their own.
    pub unsure: Vec<i64>,
    /// Whether the whole collection must be compared.
    pub truncated: bool,
    /// And that not only by what a write of ours has set off: others may have changed the rows.
    pub truncated_by_others: bool,
}

/// Whose record it is that an entry has put under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// The one that had the key before.
    Same,
    /// Another one.
    Other,
    /// Nothing can tell.
    Unknown,
}

/// What rows say where entries, by their places, leave open whose record has a key.
pub trait Evidence {
    /// Whose record an entry has put back, where this pair's was ([`put_back`](super::put_back)).
    fn back(&self, at: usize, pair: &Pair) -> Back;
    /// Whether an entry was logged later than it happened, and the entry that it happened before ([`late`](super::late)).
    fn late(&self, at: usize) -> Option<Late>;
}

/// The log is taken at its word.
pub struct AsLogged;

impl Evidence for AsLogged {
    fn back(&self, _: usize, _: &Pair) -> Back {
        Back::Same
    }

    fn late(&self, _: usize) -> Option<Late> {
        None
    }
}

/// Folds deletes and renames onto the pairs, in log order, each guarded by its position: an entry
/// is evidence only for the pair that held the key before it was written (rule 6). It only marks;
/// acting on marks is under the brake.
pub fn fold(entries: &[Entry], side: Side, mut index: PairIndex, evidence: &dyn Evidence) -> Folded {
    let mut folded = Folded::default();
    let mut touched: BTreeMap<i64, bool> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        match &entry.op {
            Op::Delete => match (index.holds(&entry.key, side, entry.pos), evidence.late(at)) {
                (Some(id), None) => {
                    index.release(id, side, entry.pos);
                    touched.insert(id, true);
                }
                // The one that has the key got it since. It is settled with that: read again, this entry is older.
                (Some(id), Some(_)) => {
                    index.stay(id, side, entry.pos);
                    touched.entry(id).or_default();
                }
                // Whoever had it before that insert was put back by it.
                (None, Some(Late { before: Some(before) })) if entries[before].op == Op::Insert => {
                    let lost = index.losers.remove(&(entry.key.encode(), entries[before].pos));
                    folded.put_back(&mut index, lost, (at, entry), side, evidence);
                    touched.extend(lost.map(|id| (id, true)));
                }
                (None, _) => {}
            },
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
                    match evidence.late(at).and_then(|late| Some(&entries[late.before?].op)) {
                        Some(Op::Rename { to }) => index.rename(id, side, to.encode(), entry.pos),
                        Some(_) => index.release(id, side, entry.pos),
                        None => {}
                    }
                } else if let Some(before) = evidence.late(at).and_then(|late| late.before) {
                    // It came back to the key it had.
                    if let Some(id) = index.losers.remove(&(entry.key.encode(), entries[before].pos)) {
                        index.returns(id, &entry.key, side, entry.pos);
                        folded.returned.push(id);
                        touched.insert(id, true);
                    }
                }
            }
            Op::Replace | Op::PutBack => {
                let Some(id) = index.holds(&entry.key, side, entry.pos) else { continue };
                let back = index.pairs.get(&id).map_or(Back::Other, |pair| evidence.back(at, pair));
                // Another one stands under a key that was given out again at once.
                if back == Back::Same {
                    index.stay(id, side, entry.pos)
                } else {
                    index.release(id, side, entry.pos)
                }
                folded.unsure.extend((back == Back::Unknown).then_some(id));
                *touched.entry(id).or_default() |= back != Back::Same;
            }
            Op::Return { deleted } => {
                // What was marked lost is the same record with a new row (A20).
                let lost = index.losers.remove(&(entry.key.encode(), *deleted));
                folded.put_back(&mut index, lost, (at, entry), side, evidence);
                touched.extend(lost.map(|id| (id, true)));
            }
            // The key was free, or this row could not have been: its last holder went without a trace, by TRUNCATE
            // or in a table that was dropped. Whether it is back, its values say (rule 8).
            Op::Insert if !entry.own => {
                if let Some(id) = index.holds(&entry.key, side, entry.pos) {
                    index.release(id, side, entry.pos);
                    touched.insert(id, true);
                }
            }
            Op::Truncate => {
                folded.truncated = true;
                folded.truncated_by_others |= !entry.own;
            }
            Op::Insert | Op::Update => {}
        }
    }
    folded.returned.sort_unstable();
    folded.unsure.sort_unstable();
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

impl Folded {
    /// What an entry has put back under its key: the record of the pair that lost it, if that is the same.
    fn put_back(
        &mut self,
        index: &mut PairIndex,
        lost: Option<i64>,
        (at, entry): (usize, &Entry),
        side: Side,
        evidence: &dyn Evidence,
    ) {
        let Some((id, pair)) = lost.and_then(|id| Some((id, index.pairs.get(&id)?))) else { return };
        match evidence.back(at, pair) {
            Back::Same => {
                index.returns(id, &entry.key, side, entry.pos);
                self.returned.push(id);
            }
            Back::Unknown => self.unsure.push(id),
            Back::Other => {}
        }
    }
}

impl PairIndex {
    /// The newest holder of a key that is older than an entry at `pos`.
    fn holds(&self, key: &Key, side: Side, pos: Pos) -> Option<i64> {
        let older = |pair: &&Pair| pair.pos[side] < pos;
        let pairs = self.holders.get(&key.encode())?.iter().filter_map(|id| self.pairs.get(id));
        pairs.filter(older).max_by_key(|pair| (pair.pos[side], pair.id)).map(|pair| pair.id)
    }

    /// Gives a pair that had lost this key its key again.
    fn returns(&mut self, id: i64, key: &Key, side: Side, pos: Pos) {
        let Some(pair) = self.pairs.get_mut(&id) else { return };
        pair.pos[side] = pos;
        pair.key[side] = pair.former[side].take();
        self.holders.entry(key.encode()).or_default().push(id);
    }

    /// The pair keeps its key, whatever older entries say.
    fn stay(&mut self, id: i64, side: Side, pos: Pos) {
        if let Some(pair) = self.pairs.get_mut(&id) {
            pair.pos[side] = pos;
        }
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
            if pair.status == PairStatus::Linked {
                self.losers.insert((key.clone(), pos), id);
            }
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
