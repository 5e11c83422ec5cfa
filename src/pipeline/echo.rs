//! Our own writes come back through the change log. This process remembers what it has just recorded, so that
//! the map need not be asked about each of them.

use std::collections::HashMap;

use super::WINDOW_MAX;
use crate::model::{KeyBytes, Pos, Side};

/// Under which keys the cycle before recorded a pair, and with which position.
///
/// Only knowledge that saves a look at the map: what is not in here is looked up there. It stays true because
/// nobody else changes the map while this process holds the fence.
#[derive(Default)]
pub(super) struct Echoes {
    now: HashMap<(i64, Side), HashMap<KeyBytes, Pos>>,
    before: HashMap<(i64, Side), HashMap<KeyBytes, Pos>>,
    count: usize,
}

impl Echoes {
    /// A cycle begins: what it reads of the logs was written in the one before.
    pub(super) fn next_cycle(&mut self) {
        self.before = std::mem::take(&mut self.now);
        self.count = 0;
    }

    /// A pair of `link` was recorded with this key and position on `side`. Beyond a window's worth nothing is
    /// remembered: the next window holds no more.
    pub(super) fn recorded(&mut self, link: i64, side: Side, key: &KeyBytes, pos: Pos) {
        if self.count < WINDOW_MAX {
            self.count += 1;
            self.now.entry((link, side)).or_default().insert(key.clone(), pos);
        }
    }

    /// Whether the pair under this key was recorded with this position or a later one, in the cycle before.
    pub(super) fn knows(&self, link: i64, side: Side, key: &KeyBytes, pos: Pos) -> bool {
        let keys = self.before.get(&(link, side));
        keys.and_then(|keys| keys.get(key)).is_some_and(|known| *known >= pos)
    }
}
