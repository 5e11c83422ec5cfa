//! The brake: stop before too many deletes or changes.

use sha2::{Digest, Sha256};

use super::Situation;
use crate::model::{Fingerprint, Limit};

/// Whether `records` of a collection with `pairs` live pairs are more than the limit lets through
/// unasked: both the count and the share must be exceeded.
pub fn tripped(limit: Option<Limit>, records: u64, pairs: u64) -> bool {
    limit.is_some_and(|limit| records > limit.count && records * 100 > pairs * u64::from(limit.percent))
}

/// The hash a person approves: exactly this set (rule 15). Members are added in the order of the
/// worklist, so that a set of any size needs no memory.
#[derive(Debug, Default)]
pub struct SetHash {
    hash: Sha256,
}

impl SetHash {
    /// Adds one member: its pair and version, what was the case, and the row that would be destroyed.
    pub fn add(&mut self, pair: i64, ver: i64, situation: Situation, row: Fingerprint) {
        self.hash.update(pair.to_be_bytes());
        self.hash.update(ver.to_be_bytes());
        self.hash.update(situation.name());
        self.hash.update(row.0.to_be_bytes());
    }

    /// The hash of the set.
    pub fn finish(self) -> Vec<u8> {
        self.hash.finalize().to_vec()
    }
}
