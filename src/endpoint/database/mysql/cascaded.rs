//! What the trigger of a parent has written down of its children says what will go along, before the parent's row goes: where
//! that is skipped (`delete ignore`, `update ignore`) nothing has gone. So these entries are hints, and the children tell.

use std::collections::HashMap;

use super::log::{Logged, What};
use crate::model::{Key, KeyBytes};

/// What a later entry about a key, which is no hint, says of the row that had it at a hint.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Later {
    /// It was still there.
    Taken,
    /// It had gone.
    Given,
}

/// Hints about which no later entry tells, by their place in what was read, with their log and key. Those that a later one refutes
/// are made entries of rows that only changed.
pub(super) fn open(read: &mut [Logged]) -> Vec<(usize, usize, Key)> {
    let mut open = Vec::new();
    if read.iter().all(|logged| !logged.hint) {
        return open;
    }
    let mut later: HashMap<(usize, KeyBytes), Later> = HashMap::new();
    for (at, logged) in read.iter_mut().enumerate().rev() {
        let log = logged.log;
        let mut note = |key: &Key, what: Later| later.insert((log, key.encode()), what);
        match (&logged.what, logged.hint) {
            (What::Insert(key) | What::Replace(key) | What::PutBack(key), _) => _ = note(key, Later::Given),
            (What::Delete(key), false) => _ = note(key, Later::Taken),
            (What::Update(old, new), hint) if old != new => {
                note(new, Later::Given);
                if !hint {
                    note(old, Later::Taken);
                }
            }
            _ => {}
        }
        if let (What::Delete(old) | What::Update(old, _), true) = (&logged.what, logged.hint) {
            let old = old.clone();
            match later.get(&(log, old.encode())) {
                Some(Later::Taken) => refute(logged),
                Some(Later::Given) => {}
                None => open.push((at, log, old)),
            }
        }
    }
    open
}

/// The row has neither gone nor got another key.
pub(super) fn refute(logged: &mut Logged) {
    if let What::Delete(key) | What::Update(key, _) = &logged.what {
        logged.what = What::Update(key.clone(), key.clone());
    }
}
