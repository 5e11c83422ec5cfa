//! The identity map: pairs and their bases.

use super::{Both, Fingerprint, KeyBytes, Link, Side};

/// Where an entry stands in its endpoint's log: an lsn, a sequence number, an app's revision.
/// For entries about one key, a later one has a greater position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pos(pub i64);

/// What one field looked like on both sides at a moment they agreed.
///
/// Each side is compared only with its own fingerprint: then a side that rounds can't start a
/// write war (I3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// As each side last stored it.
    pub seen: Both<Fingerprint>,
    /// The sides differ by policy (a protected blank, a lossy type): counted by `status`, never
    /// written until one of them changes.
    pub diverged: bool,
    /// Over how many rounds in a row this field was written to one side and came back from it at once, and in
    /// its lowest bit the side written last; see [`Base::bounce`].
    pub bounces: u8,
}

impl Base {
    /// After so many rounds in a row the field is held for a while: two jobs undo each other's work without end, or two
    /// applications talk with each other. Nothing tells which (B7).
    pub const BOUNCES_MAX: u8 = 20;

    /// Whether the field is to be held for bouncing.
    pub fn fighting(&self) -> bool {
        self.bounces / 2 >= Base::BOUNCES_MAX
    }

    /// The count after one more write to `side`: a round is over when both were written in turn.
    pub fn bounce(before: Option<Base>, side: Side) -> u8 {
        let bit = u8::from(side == Side::Target);
        let rounds = before.filter(|base| base.bounces & 1 != bit).map_or(0, |base| base.bounces / 2 + bit);
        rounds.min(Base::BOUNCES_MAX) * 2 + bit
    }

    /// It was quiet for a moment: the count begins anew.
    pub fn rest(&mut self) {
        self.bounces &= 1;
    }

    /// A base both sides agree on.
    pub fn agreed(source: Fingerprint, target: Fingerprint) -> Base {
        Base { seen: Both { source, target }, diverged: false, bounces: 0 }
    }
}

/// How a pair stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairStatus {
    /// In step, or on the way there.
    Linked,
    /// A person took the two apart.
    Unlinked,
    /// Both sides are gone, or the survivor is on its own.
    Ended,
}

/// One row of the identity map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its id, unique in the integration: epoch and counter, no sequence.
    pub id: i64,
    /// The link's number.
    pub link: i64,
    /// The live key on each side; `None` where the record is gone.
    pub key: Both<Option<KeyBytes>>,
    /// The last key of a side that is gone, so that a returning record finds its pair (rule 8).
    pub former: Both<Option<KeyBytes>>,
    /// The position of the entry that last moved the key on each side (rule 6).
    pub pos: Both<Pos>,
    /// How it stands.
    pub status: PairStatus,
    /// Counts recordings; a decision is valid only for the version it was made on (rule 3).
    pub ver: i64,
    /// The cycle that last recorded it: rows read earlier in that cycle are older than the map.
    pub cycle: i64,
    /// One base per field of the link, in the link's order; `None`: never agreed under this mapping.
    pub bases: Vec<Option<Base>>,
}

impl Pair {
    /// Whether `side` lost its record.
    pub fn gone(&self, side: Side) -> bool {
        self.key[side].is_none()
    }

    /// How many fields differ by policy.
    pub fn diverged(&self) -> usize {
        self.bases.iter().flatten().filter(|base| base.diverged).count()
    }
}

const SAME: u8 = 1;
const DIVERGED: u8 = 2;
const BOUNCE: u8 = 4;

/// The bases as the state tables hold them: per field its number, flags and one or two
/// fingerprints.
pub fn encode_bases(link: &Link, bases: &[Option<Base>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bases.len() * 11);
    for (field, base) in link.fields.iter().zip(bases) {
        let Some(base) = base else { continue };
        let same = base.seen.source == base.seen.target;
        out.extend(field.number.to_be_bytes());
        out.push(u8::from(same) * SAME + u8::from(base.diverged) * DIVERGED + (base.bounces & 63) * BOUNCE);
        out.extend(base.seen.source.0.to_be_bytes());
        if !same {
            out.extend(base.seen.target.0.to_be_bytes());
        }
    }
    out
}

/// The bases of the link's present fields; a field that was not mapped then has none.
pub fn decode_bases(link: &Link, bytes: &[u8]) -> Vec<Option<Base>> {
    let mut bases = vec![None; link.fields.len()];
    let mut rest = bytes;
    while let Some((head, tail)) = rest.split_at_checked(11) {
        rest = tail;
        let number = u16::from_be_bytes([head[0], head[1]]);
        let source = fingerprint(&head[3..11]);
        let target = if head[2] & SAME != 0 {
            source
        } else {
            let Some((second, tail)) = rest.split_at_checked(8) else { break };
            rest = tail;
            fingerprint(second)
        };
        if let Some(at) = link.fields.iter().position(|field| field.number == number) {
            bases[at] =
                Some(Base { seen: Both { source, target }, diverged: head[2] & DIVERGED != 0, bounces: head[2] / BOUNCE });
        }
    }
    bases
}

fn fingerprint(bytes: &[u8]) -> Fingerprint {
    Fingerprint(bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)))
}
