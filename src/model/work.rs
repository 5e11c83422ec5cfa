//! What is not finished: held records, waiting children, braked sets, scans. One table, one word.

use sha2::{Digest, Sha256};

use super::{Base, Both, KeyBytes, Pair, Pos, Row, Side};

/// Why a key is on the worklist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Something was in the way that goes away by itself: a locked row, a row that changed meanwhile,
    /// a failed write that may be repeated.
    Busy,
    /// Its parent has no twin yet.
    Waiting,
    /// A person must look: it can't be synced as it is.
    Held,
    /// The brake tripped on it.
    Braked,
    /// It lost a side and is not decided yet.
    Gone,
    /// The same, and a person has approved what is decided about it: it waits for something else.
    Approved,
    /// A write has a second step: a foreign key was left NULL and is to be filled in, or a trigger changed in it
    /// what is to go back.
    Unfinished,
}

/// A record that is not finished, by the key a side knows it under, or a pair that lost this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The link's number.
    pub link: i64,
    /// The side that named it.
    pub side: Side,
    /// The key on that side, live or former.
    pub key: KeyBytes,
    /// The pair that lost this key: the entry is about that pair, never about a record that has the key now.
    pub lost: Option<i64>,
    /// Why it is here.
    pub reason: Reason,
    /// In words, for people; never a value.
    pub cause: String,
    /// The record it waits for, as `(link, side, key)` folded to bytes; see [`waits_for`].
    pub waits: Option<Vec<u8>>,
    /// How often it was tried again for this reason.
    pub attempts: i64,
    /// Not before this moment, seconds since 1970 (comfort only: nothing depends on the clock).
    pub next_try: i64,
    /// The cycle that put it here.
    pub cycle: i64,
    /// Since when it is here, seconds since 1970.
    pub since: i64,
    /// Of a pair that lost a side: what a person approved, for exactly that (rule 15). Nothing else is done without asking.
    pub approved: Option<Vec<u8>>,
}

impl Reason {
    /// Whether it is a pair that lost a side and is still to be decided: those come last, under the brake.
    pub fn is_lost(self) -> bool {
        matches!(self, Reason::Gone | Reason::Approved)
    }
}

impl Work {
    /// See [`work_name`].
    pub fn name(&self) -> KeyBytes {
        work_name(&self.key, self.lost)
    }
}

/// What no key begins with.
const LOST: u8 = b'L';

/// The name of an entry in the worklist: the key; for a pair that lost it the pair too, so that whoever is given
/// the key next has an entry beside it.
pub fn work_name(key: &KeyBytes, lost: Option<i64>) -> KeyBytes {
    let Some(pair) = lost else { return key.clone() };
    let mut name = vec![LOST];
    name.extend(pair.to_be_bytes());
    name.extend(key.as_bytes());
    KeyBytes::from(name.as_slice())
}

/// The key that [`work_name`] was made of, and the pair that lost it.
pub fn work_named(name: KeyBytes) -> (KeyBytes, Option<i64>) {
    let lost = name.as_bytes().split_first().filter(|(tag, _)| **tag == LOST).and_then(|(_, rest)| rest.split_first_chunk::<8>());
    match lost {
        Some((pair, key)) => (KeyBytes::from(key), Some(i64::from_be_bytes(*pair))),
        None => (name, None),
    }
}

/// The name under which children wait for a parent's twin.
pub fn waits_for(link: i64, side: Side, key: &KeyBytes) -> Vec<u8> {
    let mut out = link.to_be_bytes().to_vec();
    out.push(match side {
        Side::Source => b's',
        Side::Target => b't',
    });
    out.extend(key.as_bytes());
    out
}

/// Link, side and key of the parent that [`waits_for`] names.
pub fn waited_for(name: &[u8]) -> Option<(i64, Side, KeyBytes)> {
    let (link, rest) = name.split_first_chunk::<8>()?;
    let (side, key) = rest.split_first()?;
    let side = match side {
        b's' => Side::Source,
        b't' => Side::Target,
        _ => return None,
    };
    Some((i64::from_be_bytes(*link), side, KeyBytes::from(key)))
}

/// What a write to a database did, in one row of that database's own transaction: the proof that it
/// committed (rule 10). The state absorbs it with `pair.ver = ver - 1`, or inserts it if absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number in the endpoint, increasing.
    pub n: i64,
    /// The pair as it is after the write.
    pub pair: Pair,
    /// The live pair of another record that held the generated key, and is detached by this one.
    pub detached: Option<Side>,
}

/// A create under way at an app: written before it is sent (rule 20).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its number, unique in the integration.
    pub id: i64,
    /// The link's number.
    pub link: i64,
    /// The side it is created on.
    pub side: Side,
    /// The record's key on the other side: the one it has, or had when it went.
    pub key: KeyBytes,
    /// The position of the entry that last moved that key (rule 6).
    pub moved: Pos,
    /// Whether the record is gone there.
    pub gone: bool,
    /// What its key at the app is made of, or its key itself where it was given.
    pub token: String,
    /// The epoch of the process that sends it.
    pub epoch: i64,
    /// It is not sent after this moment, seconds since 1970.
    pub deadline: i64,
    /// Where a record that had this key before ended, if one had: an older end is not this one's.
    pub pos: Pos,
    /// The bases it will have if it is there as it was sent, one per field of the link.
    pub sent: Vec<Option<Base>>,
}

/// Both sides changed differently: what was there, kept before the loser is overwritten, or until a person decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Hash of pair, version and both rows: a repeated decision finds its own record (rule 11). Of one that waits for a
    /// person: of the name it is on the worklist under, so that there is only one, with the rows as they are now.
    pub id: Vec<u8>,
    /// The pair.
    pub pair: i64,
    /// The link's number.
    pub link: i64,
    /// The pair's keys.
    pub key: Both<Option<KeyBytes>>,
    /// The side whose values were overwritten; `None` where nothing was: both sides have what they had.
    pub loser: Option<Side>,
    /// Both rows, mapped fields only.
    pub rows: Both<Option<Row>>,
    /// How it stands.
    pub state: ConflictState,
}

/// The id of a conflict that waits for a person, by the name its record is on the worklist under.
pub fn undecided_id(link: i64, side: Side, key: &KeyBytes) -> Vec<u8> {
    Sha256::digest([b"undecided", &waits_for(link, side, key)[..]].concat())[..16].to_vec()
}

/// How a conflict stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictState {
    /// Written down before the write that overwrites the loser.
    Pending,
    /// Kept with that write.
    Kept,
    /// It waits for a person: the rows are those of the moment it was last looked at.
    Undecided,
}

/// A full compare under way: which part is next, resumable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The link's number.
    pub link: i64,
    /// What is listed now.
    pub part: ScanPart,
    /// The last key or pair id done.
    pub after: Option<Vec<u8>>,
    /// When it was asked for, seconds since 1970.
    pub asked: i64,
}

/// The parts of a full compare, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanPart {
    /// Before anything else: whether the rows of a side are still those the map knows, because another table may
    /// stand there now.
    Recheck(Both<bool>),
    /// Records of the source the map does not know.
    Source,
    /// Records of the target the map does not know.
    Target,
    /// All pairs of the map.
    Pairs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Key, Value};

    #[test]
    fn c3_a_lost_key_and_its_next_holder_have_names_of_their_own() {
        let keys = [Value::Null, Value::Int(i128::MAX), Value::Int(76), Value::Text("L".into()), Value::Bytes(vec![76; 20])];
        for key in keys.map(|value| Key(vec![value]).encode()) {
            for lost in [None, Some(i64::MIN), Some(7)] {
                assert_eq!(work_named(work_name(&key, lost)), (key.clone(), lost));
            }
        }
    }
}
