//! The decision table: what each situation leads to under each policy.

use crate::model::{ConflictPolicy, Deletes, Link, Side};

/// What is the case for one record, seen on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Situation {
    /// Linked; neither side changed.
    InSync,
    /// Linked; only the source changed.
    SourceChanged,
    /// Linked; only the target changed.
    TargetChanged,
    /// Linked; both changed to the same.
    Agreed,
    /// Linked; both changed, differently.
    Conflict,
    /// Linked; deleted in the source, the target is as it was.
    SourceGone,
    /// Linked; deleted in the source, and changed in the target by what may travel.
    SourceGoneTargetChanged,
    /// Linked; deleted in the target, the source is as it was.
    TargetGone,
    /// Linked; deleted in the target, and changed in the source by what may travel.
    TargetGoneSourceChanged,
    /// Linked; deleted on both sides.
    BothGone,
    /// Unknown record in the source, nothing like it in the target.
    SourceOnly,
    /// Unknown record in the target, nothing like it in the source.
    TargetOnly,
    /// Unknown record with exactly one free match.
    Found,
    /// Unknown record with many matches, or one that has another twin.
    Ambiguous,
    /// Unknown key without a row: it came and went.
    Nothing,
    /// A person took the pair apart.
    Unlinked,
    /// A row could not be read, or its absence is not explained yet.
    Undecided,
}

impl Situation {
    /// All, in the order of the table.
    pub const ALL: [Situation; 17] = [
        Situation::InSync,
        Situation::SourceChanged,
        Situation::TargetChanged,
        Situation::Agreed,
        Situation::Conflict,
        Situation::SourceGone,
        Situation::SourceGoneTargetChanged,
        Situation::TargetGone,
        Situation::TargetGoneSourceChanged,
        Situation::BothGone,
        Situation::SourceOnly,
        Situation::TargetOnly,
        Situation::Found,
        Situation::Ambiguous,
        Situation::Nothing,
        Situation::Unlinked,
        Situation::Undecided,
    ];

    /// Its name in `plan`, logs and documentation.
    pub fn name(self) -> &'static str {
        match self {
            Situation::InSync => "in sync",
            Situation::SourceChanged => "source changed",
            Situation::TargetChanged => "target changed",
            Situation::Agreed => "agreed",
            Situation::Conflict => "conflict",
            Situation::SourceGone => "source gone",
            Situation::SourceGoneTargetChanged => "source gone, target changed",
            Situation::TargetGone => "target gone",
            Situation::TargetGoneSourceChanged => "target gone, source changed",
            Situation::BothGone => "both gone",
            Situation::SourceOnly => "source only",
            Situation::TargetOnly => "target only",
            Situation::Found => "found",
            Situation::Ambiguous => "ambiguous",
            Situation::Nothing => "nothing",
            Situation::Unlinked => "unlinked",
            Situation::Undecided => "undecided",
        }
    }
}

/// What is done about a situation under a link's policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// Nothing at all.
    Ignore,
    /// Nothing is written; the changed side is reported.
    Report,
    /// The changed fields of one side are written to this one.
    Update(Side),
    /// Both sides keep what they have; it becomes the new base.
    Record,
    /// This side's row wins, the other one's values are kept as a conflict.
    Wins(Side),
    /// Field by field; the source wins a field both changed.
    Merge,
    /// The side that changed last wins.
    Newest,
    /// The survivor stays and is not synced any more.
    Keep,
    /// The survivor is deleted; its values are kept first if it had changed.
    Delete(Side),
    /// The record is created on this side from the other one.
    Create(Side),
    /// The pair ends.
    End,
    /// The two become a pair, then it is decided as a pair.
    Link,
    /// A person must decide.
    Hold,
    /// It is looked at again.
    Retry,
}

impl Choice {
    /// Its words in `plan` and documentation.
    pub fn words(self) -> String {
        match self {
            Choice::Ignore => "nothing".into(),
            Choice::Report => "report".into(),
            Choice::Update(side) => format!("update {side}"),
            Choice::Record => "record as agreed".into(),
            Choice::Wins(side) => format!("{side} wins, keep the loser's values"),
            Choice::Merge => "merge field by field, source wins a field both changed".into(),
            Choice::Newest => "newest wins, keep the loser's values".into(),
            Choice::Keep => "keep the survivor, stop syncing it".into(),
            Choice::Delete(side) => format!("delete in {side}"),
            Choice::Create(side) => format!("create in {side}"),
            Choice::End => "end the pair".into(),
            Choice::Link => "link, then decide as a pair".into(),
            Choice::Hold => "hold for a person".into(),
            Choice::Retry => "look again".into(),
        }
    }
}

/// The decision table.
pub fn choose(situation: Situation, link: &Link) -> Choice {
    let write = |side: Side, choice: Choice| if link.direction.writes(side) { choice } else { Choice::Report };
    match situation {
        Situation::InSync | Situation::Nothing | Situation::Unlinked => Choice::Ignore,
        Situation::SourceChanged => write(Side::Target, Choice::Update(Side::Target)),
        Situation::TargetChanged => write(Side::Source, Choice::Update(Side::Source)),
        Situation::Agreed => Choice::Record,
        Situation::Conflict => conflict(link),
        Situation::SourceGone => survivor(link, Side::Target),
        Situation::TargetGone => survivor(link, Side::Source),
        Situation::SourceGoneTargetChanged => changed_survivor(link, Side::Target),
        Situation::TargetGoneSourceChanged => changed_survivor(link, Side::Source),
        Situation::BothGone => Choice::End,
        Situation::SourceOnly => write(Side::Target, Choice::Create(Side::Target)),
        Situation::TargetOnly => write(Side::Source, Choice::Create(Side::Source)),
        Situation::Found => Choice::Link,
        Situation::Ambiguous => Choice::Hold,
        Situation::Undecided => Choice::Retry,
    }
}

/// A record that was deleted on the other side, and is as it was on this one.
fn survivor(link: &Link, side: Side) -> Choice {
    let gone = side.other();
    match link.deletes {
        Deletes::Delete if link.direction.writes(side) => Choice::Delete(side),
        Deletes::Recreate if link.direction.writes(gone) => Choice::Create(gone),
        Deletes::Keep | Deletes::Delete | Deletes::Recreate => Choice::Keep,
    }
}

/// A record that was deleted on the other side, and changed on this one. Where deletes travel, that is a conflict; but a delete
/// that may not travel is no change of that side (rule 12).
fn changed_survivor(link: &Link, side: Side) -> Choice {
    let gone = side.other();
    match link.deletes {
        Deletes::Keep | Deletes::Recreate => survivor(link, side),
        Deletes::Delete if !link.direction.writes(side) => Choice::Create(gone),
        Deletes::Delete => match conflict(link) {
            Choice::Hold => Choice::Hold,
            Choice::Wins(winner) if winner == side => Choice::Create(gone),
            Choice::Wins(_) => Choice::Delete(side),
            // What is gone has no field to join and no time: the source wins.
            _ if side == Side::Source => Choice::Create(gone),
            _ => Choice::Delete(side),
        },
    }
}

/// Who wins a conflict: a side that may not be written never loses.
fn conflict(link: &Link) -> Choice {
    if !link.direction.writes(Side::Source) {
        return match link.conflict {
            ConflictPolicy::Hold => Choice::Hold,
            ConflictPolicy::Source | ConflictPolicy::Target | ConflictPolicy::Merge | ConflictPolicy::Newest => {
                Choice::Wins(Side::Source)
            }
        };
    }
    if !link.direction.writes(Side::Target) {
        return match link.conflict {
            ConflictPolicy::Hold => Choice::Hold,
            ConflictPolicy::Source | ConflictPolicy::Target | ConflictPolicy::Merge | ConflictPolicy::Newest => {
                Choice::Wins(Side::Target)
            }
        };
    }
    match link.conflict {
        ConflictPolicy::Source => Choice::Wins(Side::Source),
        ConflictPolicy::Target => Choice::Wins(Side::Target),
        ConflictPolicy::Merge => Choice::Merge,
        ConflictPolicy::Newest => Choice::Newest,
        ConflictPolicy::Hold => Choice::Hold,
    }
}

/// Whether a survivor that was kept when its twin was deleted may bring that back.
pub fn may_come_back(link: &Link, survivor: Side) -> bool {
    let comes_back = |choice: Choice| matches!(choice, Choice::Create(_) | Choice::Hold);
    comes_back(self::survivor(link, survivor)) || comes_back(changed_survivor(link, survivor))
}

/// The table of one link, as `plan` prints it.
pub fn table(link: &Link) -> Vec<(&'static str, String)> {
    Situation::ALL.iter().map(|situation| (situation.name(), choose(*situation, link).words())).collect()
}
