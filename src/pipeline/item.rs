//! One record on its way through a batch.

use crate::model::{Both, KeyBytes, Pair, Pos, Reason, Row, Side, work_name};
use crate::reconcile::{Action, Cause, Decision, Dirty, Seen, Situation};

/// A key on the worklist.
#[derive(Clone, Debug)]
pub(super) struct Todo {
    pub(super) side: Side,
    pub(super) key: KeyBytes,
    /// The pair that lost this key, and is to be decided; else it is about the record that has the key.
    pub(super) lost: Option<i64>,
    /// The position of its last log entry, where there is one.
    pub(super) pos: Pos,
    /// How often it was tried before, since it was put off for this reason.
    pub(super) attempts: i64,
    /// Why it was not done then.
    pub(super) reason: Option<Reason>,
    /// What it waited for until now.
    pub(super) waited: Option<Vec<u8>>,
    /// Whether it stands in the worklist table.
    pub(super) recorded: bool,
    /// Whether all its log entries are our own writes.
    pub(super) own: bool,
    /// How many writes of ours in a row have set this one off, each of them by a trigger of the
    /// application's; see [`Item::set_off`].
    pub(super) rounds: i64,
    /// What a person approved about it; see [`Work::approved`](crate::model::Work::approved).
    pub(super) approved: Option<Vec<u8>>,
}

impl Todo {
    pub(super) fn new(side: Side, key: KeyBytes) -> Todo {
        let pos = Pos::default();
        let (lost, reason, waited, approved) = (None, None, None, None);
        Todo { side, key, lost, pos, attempts: 0, reason, waited, recorded: false, own: false, rounds: 0, approved }
    }

    pub(super) fn dirty(side: Side, dirty: Dirty) -> Todo {
        Todo { pos: dirty.pos, own: dirty.own, ..Todo::new(side, dirty.key) }
    }

    /// Its side and name on the worklist.
    pub(super) fn name(&self) -> (Side, KeyBytes) {
        (self.side, work_name(&self.key, self.lost))
    }

    /// Whether it is the echo of a write that the pair was recorded with, and nothing else has happened to
    /// the row since. The tag alone would not do: the pair must know of this very write.
    pub(super) fn is_echo(&self, pair: &Pair) -> bool {
        self.own && !self.recorded && pair.pos[self.side] >= self.pos
    }
}

/// What was found under a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Slot {
    /// The record is not known there.
    None,
    /// Gone, with evidence.
    Gone,
    /// Absent, without.
    Absent,
    /// A row, and its version where the endpoint has one.
    Row(Row, Option<String>),
    /// Something that can't be read.
    Unreadable(String),
}

impl Slot {
    pub(super) fn seen(&self) -> Seen<'_> {
        match self {
            Slot::None => Seen::None,
            Slot::Gone => Seen::Gone,
            Slot::Absent => Seen::Unexplained,
            Slot::Row(row, _) => Seen::Row(row),
            Slot::Unreadable(cause) => Seen::Unreadable(cause),
        }
    }

    pub(super) fn row(&self) -> Option<&Row> {
        match self {
            Slot::Row(row, _) => Some(row),
            Slot::None | Slot::Gone | Slot::Absent | Slot::Unreadable(_) => None,
        }
    }

    pub(super) fn version(&self) -> Option<&String> {
        match self {
            Slot::Row(_, version) => version.as_ref(),
            Slot::None | Slot::Gone | Slot::Absent | Slot::Unreadable(_) => None,
        }
    }
}

/// One record on its way through a batch.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) todo: Todo,
    /// Its pair; for two records that were just matched, one that is not in the map yet (`ver` 0).
    pub(super) pair: Option<Pair>,
    /// Live keys on both sides.
    pub(super) key: Both<Option<KeyBytes>>,
    pub(super) slot: Both<Slot>,
    /// The two were just found to be twins: it is recorded even if nothing needs to be written.
    pub(super) linking: bool,
    /// The same two records, just found to be twins, are in the batch already, met from the other side: as this item. What
    /// becomes of that one becomes of this one.
    pub(super) same_as: Option<usize>,
    /// Its pair lost the other side, and it was kept: what it is now may bring its twin back, and nothing else is done about it.
    pub(super) survivor: bool,
    /// Foreign keys left NULL in step one, to be filled in later: field indexes.
    pub(super) left_out: Vec<usize>,
    /// Records that match it but for these, and are certainly not its twin: keys on the other side.
    pub(super) others: Vec<KeyBytes>,
    /// What it waits for, in a ring, though it is held for another reason too.
    pub(super) waits: Option<Vec<u8>>,
    /// A field that our write has changed though it was not sent, by a trigger of the application's: a
    /// change of that side (rule 5), which the echo of our write must not settle.
    pub(super) set_off: Option<usize>,
    /// The other side of a pair that lost one: whatever it differs in, our own writes have set off.
    pub(super) only_set_off: bool,
    /// It may be the record that had its key before, or another one: nothing tells.
    pub(super) unsure: bool,
    pub(super) decision: Option<Decision>,
}

impl Item {
    pub(super) fn new(todo: Todo) -> Item {
        let mut key = Both::default();
        key[todo.side] = Some(todo.key.clone());
        let slot = Both { source: Slot::None, target: Slot::None };
        Item {
            todo,
            pair: None,
            key,
            slot,
            linking: false,
            same_as: None,
            survivor: false,
            left_out: Vec::new(),
            others: Vec::new(),
            waits: None,
            set_off: None,
            only_set_off: false,
            unsure: false,
            decision: None,
        }
    }

    /// See [`Item::survivor`].
    pub(super) fn survivor(todo: Todo, pair: Pair) -> Item {
        Item { survivor: true, ..Item::of_pair(todo, pair) }
    }

    /// The side on which its pair lost a record, if that is what is to be decided.
    pub(super) fn lost(&self) -> Option<Side> {
        match self.todo.lost {
            Some(_) => Some(self.todo.side),
            None => self.survivor.then(|| self.todo.side.other()),
        }
    }

    /// The side on which it stands, if it lost a record on the other one; else the one that named it.
    pub(super) fn stands(&self) -> Side {
        self.lost().map_or(self.todo.side, Side::other)
    }

    /// One that comes again: what was read of it is older than the map.
    pub(super) fn undecided(todo: Todo) -> Item {
        let mut item = Item::new(todo);
        item.decide_as(Situation::Undecided, Action::Retry);
        item
    }

    pub(super) fn of_pair(todo: Todo, pair: Pair) -> Item {
        let mut item = Item::new(todo);
        item.set_pair(pair);
        item
    }

    pub(super) fn set_pair(&mut self, pair: Pair) {
        for side in Side::BOTH {
            if pair.gone(side) {
                self.slot[side] = Slot::Gone;
            } else if self.key[side] != pair.key[side] {
                self.slot[side] = Slot::None;
            }
        }
        self.key = pair.key.clone();
        self.pair = Some(pair);
    }

    /// Whether nothing is left to be done about it once it is written.
    pub(super) fn whole(&self) -> bool {
        self.left_out.is_empty() && self.set_off.is_none()
    }

    /// Two that were found to be twins, and recorded as such before anything was decided about their fields; see
    /// [`Pipeline::link_first`](super::Pipeline).
    pub(super) fn linked_first(&self) -> bool {
        let undecided = |pair: &Pair| pair.ver == 1 && pair.bases.iter().all(Option::is_none);
        self.pair.as_ref().is_some_and(undecided)
    }

    /// Unknown on both sides' terms, and still to be decided.
    pub(super) fn unknown(&self, side: Side) -> bool {
        self.pair.is_none() && self.todo.side == side && self.decision.is_none()
    }

    pub(super) fn decide_as(&mut self, situation: Situation, action: Action) {
        self.decision = Some(Decision { situation, action });
    }

    pub(super) fn hold(&mut self, situation: Situation, cause: String) {
        self.decide_as(situation, Action::Hold(Cause::Held(cause)));
    }
}
