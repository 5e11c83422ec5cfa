//! One record: from its pair and both rows to an action.

use super::situation::{Choice, Situation, choose};
use crate::model::{Base, Blanks, Both, Fingerprint, KeyBytes, Link, Pair, PairStatus, Row, Side, Value};

/// What is known of one side of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seen<'a> {
    /// The row.
    Row(&'a Row),
    /// There is none, and the log or a compare says so.
    Gone,
    /// There is none, and nothing says why: not evidence (rule 2).
    Unexplained,
    /// It can't be read.
    Unreadable(&'a str),
    /// The pair has no such side, or the record is unknown there.
    None,
}

/// A record to decide about.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Its link.
    pub link: &'a Link,
    /// Its pair, if it has one.
    pub pair: Option<&'a Pair>,
    /// The source's row.
    pub source: Seen<'a>,
    /// The target's row.
    pub target: Seen<'a>,
    /// Whatever the survivor of a pair that lost a side differs in, our own writes have set off: nobody has changed it.
    pub only_set_off: bool,
    /// How values cross over.
    pub translate: &'a dyn Translate,
}

/// How a value of one side would be stored by the other.
pub trait Translate {
    /// The value of field `field` of the other side's row as side `to` would store it.
    ///
    /// # Errors
    /// The [`Cause`] why it can't: it does not fit, or it refers to a parent without a twin.
    fn translate(&self, field: usize, row: &Row, to: Side) -> Result<Value, Cause>;
}

/// Why a record can't be synced now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A person or a changed value must help; in words, never a value.
    Held(String),
    /// This field came back changed after every write, on both sides in turn: time helps.
    Restless(usize),
    /// Both sides changed, and the link holds conflicts for a person.
    Conflict,
    /// The parent it refers to has no twin: the parent's link (number), side and key, and whether it never had one.
    Parent(i64, Side, KeyBytes, Twin),
}

/// What became of the twin of a parent that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twin {
    /// There was none yet.
    ToCome,
    /// It was deleted.
    Deleted,
}

/// What to do about one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing.
    Ignore,
    /// Nothing is written; a change that may not travel.
    Report,
    /// Write fields, record bases, or both.
    Update(Update),
    /// Create the record on this side with these values.
    Create(Side, Row),
    /// Delete the survivor on this side; `true`: it had changed, so its values are kept first.
    Delete(Side, bool),
    /// Both are gone.
    End,
    /// The survivor stays on its own.
    Keep,
    /// It waits, with the cause.
    Hold(Cause),
    /// It is looked at again in the next cycle.
    Retry,
}

/// Fields to write and bases to record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Fields to write in the source, by index, with their values as it would store them.
    pub source: Vec<(usize, Value)>,
    /// Fields to write in the target.
    pub target: Vec<(usize, Value)>,
    /// Fields that need no write but have a new base (agreed, or protected).
    pub agreed: Vec<(usize, Base)>,
    /// The sides of which values are overwritten though they changed too. Both, where fields may travel one way only.
    pub losers: Both<bool>,
    /// A field that both sides changed stays as it is on both: a blank has won, and was not let clear the other's value.
    pub stands: bool,
}

impl Update {
    /// The fields to write on a side.
    pub fn writes(&self, side: Side) -> &[(usize, Value)] {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }

    /// Whether a side loses anything.
    pub fn overwrites(&self) -> bool {
        self.losers != Both::default()
    }

    fn writes_mut(&mut self, side: Side) -> &mut Vec<(usize, Value)> {
        match side {
            Side::Source => &mut self.source,
            Side::Target => &mut self.target,
        }
    }
}

/// A situation and what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What is the case.
    pub situation: Situation,
    /// What we do.
    pub action: Action,
}

/// Decides one record. The same function serves every worklist: a poll, a first sync, a retry, a
/// full compare, a recovery.
pub fn decide(question: &Question<'_>) -> Decision {
    match question.pair {
        Some(pair) if pair.status == PairStatus::Linked => decide_pair(question, pair),
        Some(_) => Decision { situation: Situation::Unlinked, action: Action::Ignore },
        None => decide_unknown(question),
    }
}

/// Decides a record that was just found to be the twin of another: no field has a base yet.
pub fn link_found(link: &Link, source: &Row, target: &Row, translate: &dyn Translate) -> Decision {
    let bases = vec![None; link.fields.len()];
    let mut decision = decide_rows(link, &bases, source, target, translate);
    // Also where all that differs may not travel: they are twins all the same.
    if decision.action == Action::Ignore || decision.action == Action::Report {
        decision.action = Action::Update(Update::default());
    }
    decision.situation = Situation::Found;
    decision
}

fn decide_unknown(question: &Question<'_>) -> Decision {
    let (situation, row, side) = match (question.source, question.target) {
        (Seen::Row(row), Seen::None) => (Situation::SourceOnly, row, Side::Source),
        (Seen::None, Seen::Row(row)) => (Situation::TargetOnly, row, Side::Target),
        (Seen::Unreadable(cause), _) | (_, Seen::Unreadable(cause)) => return undecided(cause),
        _ => return Decision { situation: Situation::Nothing, action: Action::Ignore },
    };
    let action = match choose(situation, question.link) {
        Choice::Create(to) => create(question, row, side, to),
        _ => Action::Report,
    };
    Decision { situation, action }
}

fn undecided(cause: &str) -> Decision {
    Decision { situation: Situation::Undecided, action: Action::Hold(Cause::Held(cause.to_owned())) }
}

fn create(question: &Question<'_>, row: &Row, from: Side, to: Side) -> Action {
    let mut values = Row::with_capacity(row.len());
    for at in 0..row.len() {
        if !question.link.fields[at].direction.writes(to) {
            values.push(Value::Null);
            continue;
        }
        match question.translate.translate(at, row, to) {
            Ok(value) => values.push(value),
            Err(cause) => return Action::Hold(in_field(cause, &question.link.fields[at].name)),
        }
    }
    debug_assert_ne!(from, to);
    Action::Create(to, values)
}

fn decide_pair(question: &Question<'_>, pair: &Pair) -> Decision {
    match (question.source, question.target) {
        (Seen::Unreadable(cause), _) | (_, Seen::Unreadable(cause)) => undecided(cause),
        (Seen::Unexplained | Seen::None, _) | (_, Seen::Unexplained | Seen::None) => {
            Decision { situation: Situation::Undecided, action: Action::Retry }
        }
        (Seen::Gone, Seen::Gone) => Decision { situation: Situation::BothGone, action: Action::End },
        (Seen::Gone, Seen::Row(row)) => survivor(question, pair, row, Side::Target),
        (Seen::Row(row), Seen::Gone) => survivor(question, pair, row, Side::Source),
        (Seen::Row(source), Seen::Row(target)) => decide_rows(question.link, &pair.bases, source, target, question.translate),
    }
}

/// Whether this side kept a value which the other side's blank would have cleared: nobody there knows it.
fn protected(base: &Base, side: Side) -> bool {
    let blank = |fingerprint| fingerprint == Fingerprint::NULL || fingerprint == Value::Text(String::new()).fingerprint();
    base.diverged && blank(base.seen[side.other()]) && !blank(base.seen[side])
}

/// Whether a side's field has another value than when the two last agreed.
fn is_other(link: &Link, at: usize, bases: &[Option<Base>], row: &Row, side: Side, translate: &dyn Translate) -> bool {
    let other =
        |base: Base| base.seen[side] != row[at].fingerprint() && !is_same_in_another_form(link, at, base, row, side, translate);
    bases[at].is_none_or(other)
}

/// Whether a value is that of the base as a column has it that was given another type: it comes to what the other side had
/// then, and from there back to itself. Nobody has changed it.
fn is_same_in_another_form(link: &Link, at: usize, base: Base, row: &Row, side: Side, translate: &dyn Translate) -> bool {
    if base.diverged || link.fields[at].via.is_some() {
        return false;
    }
    let Ok(there) = translate.translate(at, row, side.other()) else { return false };
    if there.fingerprint() != base.seen[side.other()] {
        return false;
    }
    let mut alone = vec![Value::Null; row.len()];
    alone[at] = there;
    translate.translate(at, &alone, side).as_ref() == Ok(&row[at])
}

/// The row that is left of a pair, on this side.
fn survivor(question: &Question<'_>, pair: &Pair, row: &Row, side: Side) -> Decision {
    let link = question.link;
    let fields = 0..pair.bases.len().min(row.len());
    let changed: Vec<usize> = fields.filter(|at| is_other(link, *at, &pair.bases, row, side, question.translate)).collect();
    // A change that may not travel is no change of that side: it makes no conflict of the other one's delete. Nor does one
    // that nobody has made.
    let travels = !question.only_set_off && changed.iter().any(|at| link.fields[*at].direction.writes(side.other()));
    let situation = match (side, travels) {
        (Side::Target, false) => Situation::SourceGone,
        (Side::Target, true) => Situation::SourceGoneTargetChanged,
        (Side::Source, false) => Situation::TargetGone,
        (Side::Source, true) => Situation::TargetGoneSourceChanged,
    };
    // Whatever the other side does not know is kept before it is deleted.
    let unknown = !changed.is_empty() || pair.bases.iter().flatten().any(|base| protected(base, side));
    let action = match choose(situation, link) {
        Choice::Delete(side) => Action::Delete(side, unknown),
        Choice::Create(to) => create(question, row, side, to),
        Choice::Hold => Action::Hold(Cause::Conflict),
        _ => Action::Keep,
    };
    Decision { situation, action }
}

/// How one field stands.
struct FieldState {
    source_changed: bool,
    target_changed: bool,
    /// The source's value as the target would store it.
    to_target: Result<Value, Cause>,
    to_source: Result<Value, Cause>,
    agrees: bool,
}

impl FieldState {
    fn changed(&self, side: Side) -> bool {
        match side {
            Side::Source => self.source_changed,
            Side::Target => self.target_changed,
        }
    }
}

fn decide_rows(link: &Link, bases: &[Option<Base>], source: &Row, target: &Row, translate: &dyn Translate) -> Decision {
    let mut states = Vec::new();
    for at in 0..link.fields.len() {
        if let Some(state) = field_state(link, at, bases, source, target, translate) {
            states.push((at, state));
        }
    }
    let differing = || states.iter().filter(|(_, state)| !state.agrees);
    // A change that may not travel is no change of that side: it makes no conflict of the other one's.
    let travels = |at: usize, from: Side| link.fields[at].direction.writes(from.other());
    let moves = |at: usize, state: &FieldState, side: Side| state.changed(side) && travels(at, side);
    let changed = |side: Side| differing().any(|(at, state)| !is_new(bases, *at) && moves(*at, state, side));
    // Where a field was mapped later the two meet in it for the first time. That is no change of the record's other fields.
    let meets = differing().any(|(at, state)| is_new(bases, *at) && Side::BOTH.into_iter().any(|side| moves(*at, state, side)));
    let conflict = choose(Situation::Conflict, link);
    let situation = match (changed(Side::Source), changed(Side::Target)) {
        _ if states.is_empty() => Situation::InSync,
        (false, false) if meets => first_meeting(bases, &states, travels),
        (true, false) | (false, true) if meets && conflict == Choice::Hold => Situation::Conflict,
        (false, false) if differing().any(|(_, state)| state.source_changed) => Situation::SourceChanged,
        (false, false) if differing().next().is_some() => Situation::TargetChanged,
        (false, false) => Situation::Agreed,
        (true, false) => Situation::SourceChanged,
        (false, true) => Situation::TargetChanged,
        (true, true) => Situation::Conflict,
    };
    let of_newest = |choice: Choice| if choice == Choice::Newest { newest(link, source, target) } else { choice };
    let choices = Choices { changed: of_newest(choose(situation, link)), new: of_newest(conflict) };
    let action = match choices.changed {
        Choice::Ignore => Action::Ignore,
        Choice::Hold => Action::Hold(unmet_parent(bases, &states).unwrap_or(Cause::Conflict)),
        _ => update(link, bases, source, target, states, choices),
    };
    Decision { situation, action }
}

/// Whether a field was never agreed on in a record that was: it was mapped later, or its column was made anew.
fn is_new(bases: &[Option<Base>], at: usize) -> bool {
    bases[at].is_none() && bases.iter().any(Option::is_some)
}

/// The situation of a record in which nothing differs but fields that were mapped later: a conflict, or what the one side has
/// that fills all of them.
fn first_meeting(bases: &[Option<Base>], states: &[(usize, FieldState)], travels: impl Fn(usize, Side) -> bool) -> Situation {
    let fills = |side: Side| {
        let new = states.iter().filter(|(at, state)| is_new(bases, *at) && !state.agrees);
        new.into_iter().any(|(at, state)| state.changed(side) && travels(*at, side))
    };
    match (fills(Side::Source), fills(Side::Target)) {
        (true, false) => Situation::SourceChanged,
        (false, true) => Situation::TargetChanged,
        _ => Situation::Conflict,
    }
}

/// Who wins: what changed, and what the two meet in for the first time.
#[derive(Clone, Copy)]
struct Choices {
    changed: Choice,
    new: Choice,
}

/// The parent without a twin that a field refers to which was never agreed: whether the two differ in it shows only when
/// the parent has one.
fn unmet_parent(bases: &[Option<Base>], states: &[(usize, FieldState)]) -> Option<Cause> {
    let first = states.iter().filter(|(at, state)| !state.agrees && bases[*at].is_none());
    let parent = |to: &Result<Value, Cause>| to.as_ref().err().filter(|cause| matches!(cause, Cause::Parent(..))).cloned();
    first.flat_map(|(_, state)| [&state.to_target, &state.to_source]).find_map(parent)
}

/// The state of a field, or `None` if neither side changed: such a field is never written, not even
/// when the other side's row wins (else a rounded value goes back, rule 12). The parts of a foreign key are one: another
/// parent may differ in one part here and in all of them there.
fn field_state(
    link: &Link,
    at: usize,
    bases: &[Option<Base>],
    source: &Row,
    target: &Row,
    translate: &dyn Translate,
) -> Option<FieldState> {
    let group = link.fields[at].group(&at);
    let changed = |row: &Row, side: Side| group.iter().any(|part| is_other(link, *part, bases, row, side, translate));
    let (mut source_changed, mut target_changed) = (changed(source, Side::Source), changed(target, Side::Target));
    if !source_changed && !target_changed {
        return None;
    }
    let blank = |row: &Row| group.iter().any(|part| row[*part].is_blank());
    let (source_blank, target_blank) = (blank(source), blank(target));
    // Never agreed before: an empty field is no decision of anybody's, the filled one fills it. Where blanks travel it may be
    // one, unless the field or the column is a new one.
    let empty = if source_blank { Side::Source } else { Side::Target };
    let nobodys =
        link.fields[at].blanks == Blanks::Keep || is_new(bases, at) || group.iter().any(|part| link.fields[*part].remade[empty]);
    if bases[at].is_none() && nobodys && source_blank != target_blank {
        source_changed = target_blank;
        target_changed = source_blank;
    }
    let fits = |from: &Row, to: Side, stands: &Row| {
        group.iter().all(|part| translate.translate(*part, from, to).as_ref() == Ok(&stands[*part]))
    };
    let agrees = fits(source, Side::Target, target) || fits(target, Side::Source, source);
    let to_target = translate.translate(at, source, Side::Target);
    let to_source = translate.translate(at, target, Side::Source);
    Some(FieldState { source_changed, target_changed, to_target, to_source, agrees })
}

fn newest(link: &Link, source: &Row, target: &Row) -> Choice {
    let Some(at) = link.newest else { return Choice::Wins(Side::Source) };
    match (moment(&source[at]), moment(&target[at])) {
        (Some(s), Some(t)) if t > s => Choice::Wins(Side::Target),
        _ => Choice::Wins(Side::Source),
    }
}

/// Something that can be compared to say which is newer; `NULL` and odd values can't.
fn moment(value: &Value) -> Option<i128> {
    match value {
        Value::DateTime(micros) | Value::Instant(micros) => Some(i128::from(*micros)),
        Value::Date(days) => Some(i128::from(*days) * 86_400_000_000),
        Value::Int(number) => Some(*number),
        Value::Text(text) => {
            crate::model::time::parse_instant(text).or_else(|| crate::model::time::parse_datetime(text)).map(i128::from)
        }
        Value::Null
        | Value::Bool(_)
        | Value::Decimal(_)
        | Value::Float(_)
        | Value::Bytes(_)
        | Value::Time(_)
        | Value::Uuid(_)
        | Value::Json(_)
        | Value::Other { .. } => None,
    }
}

fn update(
    link: &Link,
    bases: &[Option<Base>],
    source: &Row,
    target: &Row,
    states: Vec<(usize, FieldState)>,
    choices: Choices,
) -> Action {
    let mut update = Update::default();
    for (at, state) in states {
        if state.agrees {
            update.agreed.push((at, agreed(&state, &source[at], &target[at])));
            continue;
        }
        let to = match (bases[at], state.source_changed, state.target_changed) {
            // They meet for the first time, and only one side fills this field.
            (None, true, false) => Some(Side::Target),
            (None, false, true) => Some(Side::Source),
            _ => receiver(&state, if is_new(bases, at) { choices.new } else { choices.changed }),
        };
        let Some(to) = to else { continue };
        let field = &link.fields[at];
        // A side that may not be written never loses what it changed, whoever wins the record.
        let to = if field.direction.writes(to) || !state.changed(to) { to } else { to.other() };
        if !field.direction.writes(to) || !link.direction.writes(to) {
            continue;
        }
        // What a blank was not let clear stands on one side only.
        let overwrites = state.changed(to) || bases[at].is_some_and(|base| protected(&base, to));
        let (value, from, kept) = match to {
            Side::Target => (state.to_target, &source[at], &target[at]),
            Side::Source => (state.to_source, &target[at], &source[at]),
        };
        if from.is_blank() && !kept.is_blank() && field.blanks == Blanks::Keep {
            update.stands |= state.source_changed && state.target_changed;
            let mut base = Base::agreed(source[at].fingerprint(), target[at].fingerprint());
            base.diverged = true;
            update.agreed.push((at, base));
            continue;
        }
        if bases[at].is_some_and(|base| base.fighting()) {
            return Action::Hold(Cause::Restless(at));
        }
        match value {
            Ok(value) => update.writes_mut(to).push((at, value)),
            Err(cause) => return Action::Hold(in_field(cause, &field.name)),
        }
        update.losers[to] |= overwrites;
    }
    if update == Update::default() { Action::Report } else { Action::Update(update) }
}

/// The side that receives a field's value under a choice.
fn receiver(state: &FieldState, choice: Choice) -> Option<Side> {
    match choice {
        // What changed on that side alone may not travel, and stays.
        Choice::Update(side) => state.changed(side.other()).then_some(side),
        Choice::Wins(side) => Some(side.other()),
        Choice::Merge if state.source_changed => Some(Side::Target),
        Choice::Merge => Some(Side::Source),
        _ => None,
    }
}

fn agreed(state: &FieldState, source: &Value, target: &Value) -> Base {
    let mut base = Base::agreed(source.fingerprint(), target.fingerprint());
    // The same as far as the poorer side can tell: it differs by policy.
    base.diverged = state.to_target.as_ref() != Ok(target) || state.to_source.as_ref() != Ok(source);
    base
}

fn in_field(cause: Cause, field: &str) -> Cause {
    match cause {
        Cause::Held(words) => Cause::Held(format!("{field}: {words}")),
        other @ (Cause::Restless(_) | Cause::Conflict | Cause::Parent(..)) => other,
    }
}

/// Whether a row that came back under a former key is the record it was: the link's evidence equals the base (rule 8). What
/// stands in a column that was made anew since then tells nothing.
pub fn rows_agree(link: &Link, pair: &Pair, row: &Row, side: Side, translate: &dyn Translate) -> bool {
    let tells = |at: &usize| pair.bases[*at].is_some() || link.fields[*at].remade == Both::default();
    let mut evidence = link.evidence().into_iter().filter(tells).peekable();
    evidence.peek().is_some() && evidence.all(|at| !is_other(link, at, &pair.bases, row, side, translate))
}
