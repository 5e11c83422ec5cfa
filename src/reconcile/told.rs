//! What a log leaves open, and the rows would tell: as what a record was put back, and in which order things happened.

use std::collections::HashMap;

use crate::model::{Entry, Key, KeyBytes, Op};

/// A record at an entry, and what came after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The place of the entry.
    pub at: usize,
    /// The key that the record has after all entries.
    pub key: Key,
    /// Whether its row was written again by then.
    pub changed: bool,
}

/// An entry that was logged later than it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// The place of the entry it happened before; `None`: that is not among these.
    pub before: Option<usize>,
}

/// The records that entries have put back ([`Op::Replace`], [`Op::PutBack`], [`Op::Return`]). One that is gone again by then
/// is none of them: its end is told by another entry. A delete that was logged later than the insert of its key is one.
pub fn put_back(entries: &[Entry], late: &HashMap<usize, Late>) -> Vec<Told> {
    let inserted = |at: usize| late.get(&at).and_then(|late| late.before).is_some_and(|before| entries[before].op == Op::Insert);
    told(entries, |at, entry| matches!(entry.op, Op::Replace | Op::PutBack | Op::Return { .. }) || inserted(at))
}

/// The entries that may have been logged later than they happened.
///
/// What a trigger of the application's does is logged before what set it off, on an engine that lets that trigger fire
/// first. A delete stands behind what then came to its key (the gap in a list was closed, the row was put back): is a row
/// under that key all the same, the delete was not of the record that has it. A rename stands behind what then became of
/// the new key (it was changed once more): is there no row, the record went on as that entry says.
/// `midway`: what came before a delete may stand in what was read before.
pub fn late(entries: &[Entry], midway: bool) -> Vec<(Told, Late)> {
    if !entries.iter().any(|entry| matches!(entry.op, Op::Delete | Op::Rename { .. })) {
        return Vec::new();
    }
    let (mut came, mut went) = (HashMap::<KeyBytes, usize>::new(), HashMap::<KeyBytes, usize>::new());
    let mut open: HashMap<usize, Late> = HashMap::new();
    for (at, entry) in entries.iter().enumerate() {
        let key = entry.key.encode();
        match &entry.op {
            Op::Delete => {
                let before = came.remove(&key);
                if before.is_some() || midway && !went.contains_key(&key) {
                    open.insert(at, Late { before });
                }
                went.insert(key, at);
            }
            Op::Rename { to } => {
                came.remove(&key);
                went.insert(key, at);
                open.extend(went.remove(&to.encode()).map(|before| (at, Late { before: Some(before) })));
                came.insert(to.encode(), at);
            }
            Op::Insert | Op::Replace | Op::PutBack | Op::Return { .. } => {
                went.remove(&key);
                came.insert(key, at);
            }
            Op::Update | Op::Truncate => {}
        }
    }
    if open.is_empty() {
        return Vec::new();
    }
    told(entries, |at, _| open.contains_key(&at))
        .into_iter()
        .filter_map(|told| Some((open.remove(&told.at)?, told)))
        .map(|(late, told)| (told, late))
        .collect()
}

/// The records that have the key which these entries are about right after them, if they still have one after all.
fn told(entries: &[Entry], of: impl Fn(usize, &Entry) -> bool) -> Vec<Told> {
    let mut told = Vec::new();
    // From the last entry to the first: what becomes of the record that has a key at this point, if anything does.
    let mut ends: HashMap<KeyBytes, Option<(Key, bool)>> = HashMap::new();
    for (at, entry) in entries.iter().enumerate().rev() {
        let key = entry.key.encode();
        if of(at, entry) {
            let about = if let Op::Rename { to } = &entry.op { to } else { &entry.key };
            let end = ends.get(&about.encode()).cloned().unwrap_or_else(|| Some((about.clone(), false)));
            told.extend(end.map(|(key, changed)| Told { at, key, changed }));
        }
        match &entry.op {
            Op::Rename { to } => {
                let end = ends.insert(to.encode(), None).unwrap_or_else(|| Some((to.clone(), false)));
                ends.insert(key, end);
            }
            Op::Insert | Op::Delete => {
                ends.insert(key, None);
            }
            Op::Update | Op::Replace | Op::PutBack | Op::Return { .. } => {
                if let Some((_, changed)) = ends.entry(key).or_insert_with(|| Some((entry.key.clone(), false))) {
                    *changed = true;
                }
            }
            Op::Truncate => {}
        }
    }
    told
}
