//! Which entries of a change log repeat what a newer one says.
//!
//! A log is walked from its newest entry down, a slice at a time, so that nobody waits for it and no memory grows
//! with it: of each key met, the place of its newest entry is kept. Where there are more keys than that, they are
//! done part by part, chosen by their hash.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use crate::model::KeyBytes;

/// A log that has grown by less is left alone.
pub(super) const WORTHWHILE: i64 = 10_000;

/// So many keys are remembered at a time: some 8 MB.
const KEYS_MAX: usize = 200_000;

/// Enough of a key's hash that no two keys share it.
type Digest = [u64; 2];

/// The compaction of one log, over many calls.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    /// The log's end when it was last walked whole, and how many entries it kept.
    walked: i64,
    kept: i64,
    walk: Option<Walk>,
}

/// One walk through a log, under way.
#[derive(Debug)]
struct Walk {
    /// The log's end when it began.
    end: i64,
    /// Everything from here on has been looked at.
    below: i64,
    newest: HashMap<Digest, i64>,
    part: u64,
    parts: u64,
    kept: i64,
}

impl Compaction {
    /// Where to go on, or `None`: the log has not grown enough to be worth it. `end`: the greatest number it gave
    /// out, `first`: where it begins. What is walked again is at most what came new: the work stays in proportion.
    pub(super) fn below(&mut self, first: i64, end: i64) -> Option<i64> {
        let grown = end - self.walked.max(first);
        if self.walk.is_none() && grown >= WORTHWHILE.max(self.kept / 2) {
            self.walk = Some(Walk { end, below: i64::MAX, newest: HashMap::new(), part: 0, parts: 1, kept: 0 });
        }
        self.walk.as_ref().map(|walk| walk.below)
    }

    /// The newer entry that repeats the one at `at`, which may go then. Asked of every entry, from the newest down;
    /// `update`: it is one that keeps its key, and no other may ever go (rule 9). Nor may one that an application has written where the
    /// newer ones are an integration's (`origin`): it is whose change it is.
    pub(super) fn repeated(&mut self, key: &KeyBytes, origin: Option<&str>, at: i64, update: bool) -> Option<i64> {
        let walk = self.walk.as_mut()?;
        let digest = digest(key);
        walk.kept += 1;
        if digest[0] % walk.parts != walk.part {
            return None;
        }
        // What moves keys counts as anybody's.
        let origin = origin.filter(|_| update);
        let of_it = [Some(digest), origin.map(|origin| [digest[0], digest[1] ^ hash(origin.as_bytes())[0]])];
        let newest = of_it.iter().flatten().filter_map(|digest| walk.newest.get(digest)).max().copied();
        let own = of_it[1].unwrap_or(digest);
        let last = walk.newest.entry(own).or_insert(at);
        *last = at.max(*last);
        let newer = newest.filter(|newer| update && *newer > at);
        walk.kept -= i64::from(newer.is_some());
        newer
    }

    /// A slice was looked at, down to `below`; `bottom`: there is nothing under it. Whether there is more to do.
    pub(super) fn looked(&mut self, below: i64, bottom: bool) -> bool {
        let Some(walk) = &mut self.walk else { return false };
        walk.below = below;
        if walk.newest.len() > KEYS_MAX {
            // Too many keys at once: begin again with half of them.
            (walk.parts, walk.below) = (walk.parts * 2, i64::MAX);
        } else if !bottom {
            return true;
        } else if walk.part + 1 < walk.parts {
            (walk.part, walk.below) = (walk.part + 1, i64::MAX);
        } else {
            (self.walked, self.kept) = (walk.end, walk.kept);
            self.walk = None;
            return false;
        }
        walk.newest.clear();
        walk.kept = 0;
        true
    }
}

fn digest(key: &KeyBytes) -> Digest {
    hash(key.as_bytes())
}

fn hash(bytes: &[u8]) -> Digest {
    let hash = Sha256::digest(bytes);
    let word = |from: usize| hash[from..from + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    [word(0), word(8)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Key;

    /// What is left of a log of keys and whether each entry is an update, newest last, walked in slices.
    fn compacted(log: &[(i64, bool)], slice: usize) -> Vec<usize> {
        let log: Vec<(i64, bool, Option<&str>)> = log.iter().map(|(key, update)| (*key, *update, None)).collect();
        compacted_of(&log, slice)
    }

    fn compacted_of(log: &[(i64, bool, Option<&str>)], slice: usize) -> Vec<usize> {
        let mut compaction = Compaction::default();
        let mut there = vec![true; log.len()];
        let mut below = compaction.below(0, WORTHWHILE).unwrap();
        loop {
            let from = usize::try_from(below).unwrap_or(log.len()).min(log.len());
            let under: Vec<usize> = (0..from).rev().filter(|at| there[*at]).take(slice).collect();
            for at in &under {
                let (key, update, origin) = log[*at];
                there[*at] = compaction.repeated(&Key::int(key).encode(), origin, *at as i64, update).is_none();
            }
            let lowest = under.last().map_or(below, |at| *at as i64);
            if !compaction.looked(lowest, under.len() < slice) {
                return (0..log.len()).filter(|at| there[*at]).collect();
            }
            below = compaction.below(0, WORTHWHILE).unwrap();
        }
    }

    #[test]
    fn rule9_only_updates_with_a_newer_entry_go() {
        let log = [(1, true), (1, false), (2, true), (1, true), (2, true), (1, true), (3, true), (1, false)];
        for slice in 1..9 {
            assert_eq!(compacted(&log, slice), [1, 4, 6, 7], "{slice}");
        }
    }

    /// What an integration writes after an application does not hide that the application has written.
    #[test]
    fn rule9_whose_change_it_is_stays_in_the_log() {
        let (user, ours, theirs) = (None, Some("ours"), Some("theirs"));
        let log = [(1, user), (1, ours), (1, user), (2, ours), (1, theirs), (1, ours), (2, user), (1, ours)];
        let log: Vec<(i64, bool, Option<&str>)> = log.into_iter().map(|(key, origin)| (key, true, origin)).collect();
        let gone = [(1, false, ours)];
        for slice in 1..9 {
            assert_eq!(compacted_of(&log, slice), [2, 4, 6, 7], "{slice}");
            assert_eq!(compacted_of(&[log.as_slice(), &gone].concat(), slice), [6, 8], "{slice}: what moves keys repeats all");
        }
    }

    #[test]
    fn more_keys_than_are_remembered_are_done_in_parts() {
        let keys = KEYS_MAX as i64 + 50_000;
        let log: Vec<(i64, bool)> = (0..2 * keys).map(|at| (at % keys, true)).collect();
        assert_eq!(compacted(&log[..], 50_000).len(), keys as usize);
    }

    #[test]
    fn a_log_that_did_not_grow_is_left_alone() {
        let mut compaction = Compaction::default();
        assert_eq!(compaction.below(0, WORTHWHILE - 1), None);
        assert_eq!(compaction.below(5, WORTHWHILE + 4), None);
        assert!(compaction.below(0, WORTHWHILE).is_some());
        assert!(!compaction.looked(0, true));
        assert_eq!(compaction.below(0, WORTHWHILE), None);
        assert!(compaction.below(0, 2 * WORTHWHILE).is_some());
    }
}
