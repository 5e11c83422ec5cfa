//! The decision table cell by cell, and properties of decisions and folding.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::model::*;

fn column(name: &str) -> Column {
    let kind = Kind::Any;
    Column { name: name.into(), kind, native: "any".into(), nullable: true, computed: false, has_default: false, numbered: false }
}

fn collection(name: &str) -> Collection {
    let table = Table {
        name: TableName { schema: String::new(), name: name.into() },
        columns: vec![column("id"), column("a"), column("b")],
        key: vec![0],
        key_source: KeySource::Generated,
        uniques: Vec::new(),
        foreign_keys: Vec::new(),
        blind_spots: Vec::new(),
        refused: None,
    };
    Collection { table, columns: vec![1, 2] }
}

fn link() -> Link {
    let field = |number: u16| Field {
        name: format!("f{number}"),
        number,
        via: None,
        parts: Both::default(),
        direction: Direction::Both,
        blanks: Blanks::Propagate,
        lossy: Lossy::Hold,
        remade: Both::default(),
    };
    Link {
        name: "customers".into(),
        number: 1,
        endpoint: Both { source: 0, target: 1 },
        collection: Both { source: collection("customer"), target: collection("contacts") },
        fields: vec![field(0), field(1)],
        matching: Vec::new(),
        direction: Direction::Both,
        conflict: ConflictPolicy::Source,
        newest: None,
        deletes: Deletes::Delete,
        keys: Keys::Own,
        brake: BrakeLimits::default(),
        broken: None,
    }
}

fn row(a: i64, b: i64) -> Row {
    vec![Value::Int(a.into()), Value::Int(b.into())]
}

fn pair(source: &Row, target: &Row) -> Pair {
    let base = |at: usize| Some(Base::agreed(source[at].fingerprint(), target[at].fingerprint()));
    Pair {
        id: 1,
        link: 1,
        key: Both { source: Some(Key::int(1).encode()), target: Some(Key::int(5001).encode()) },
        former: Both::default(),
        pos: Both::default(),
        status: PairStatus::Linked,
        ver: 3,
        cycle: 0,
        bases: vec![base(0), base(1)],
    }
}

/// Values cross as they are, or cut to tens towards the target.
struct Plain;
struct Tens;

impl Translate for Plain {
    fn translate(&self, field: usize, row: &Row, _: Side) -> Result<Value, Cause> {
        Ok(row[field].clone())
    }
}

impl Translate for Tens {
    fn translate(&self, field: usize, row: &Row, to: Side) -> Result<Value, Cause> {
        Ok(match &row[field] {
            Value::Int(number) if to == Side::Target => Value::Int(number / 10 * 10),
            other => other.clone(),
        })
    }
}

fn ask(link: &Link, pair: Option<&Pair>, source: Seen<'_>, target: Seen<'_>) -> Decision {
    decide(&Question { link, pair, source, target, only_set_off: false, translate: &Plain })
}

/// The situation of a pair whose sides were `1, 1` when they agreed.
fn cell(link: &Link, source: Seen<'_>, target: Seen<'_>) -> Decision {
    let base = row(1, 1);
    ask(link, Some(&pair(&base, &base)), source, target)
}

fn update(decision: &Decision) -> &Update {
    match &decision.action {
        Action::Update(update) => update,
        other => panic!("not an update: {other:?}"),
    }
}

fn losers(update: &Update) -> Vec<Side> {
    Side::BOTH.into_iter().filter(|side| update.losers[*side]).collect()
}

#[test]
fn s4_12_every_cell_of_the_decision_table() {
    let (old, new, newer) = (row(1, 1), row(2, 1), row(3, 1));
    let (same, changed, other) = (Seen::Row(&old), Seen::Row(&new), Seen::Row(&newer));
    let by = |deletes: Deletes| Link { deletes, ..link() };
    let (keep, delete, recreate) = (by(Deletes::Keep), by(Deletes::Delete), by(Deletes::Recreate));
    let is = |decision: Decision, situation: Situation, words: &str| {
        assert_eq!(decision.situation, situation);
        let action = match &decision.action {
            Action::Update(update) => {
                format!("source {} target {} losers {:?}", update.source.len(), update.target.len(), losers(update))
            }
            other => format!("{other:?}"),
        };
        assert_eq!(action, words, "{situation:?}");
    };
    is(cell(&delete, same, same), Situation::InSync, "Ignore");
    is(cell(&delete, changed, same), Situation::SourceChanged, "source 0 target 1 losers []");
    is(cell(&delete, same, changed), Situation::TargetChanged, "source 1 target 0 losers []");
    is(cell(&delete, changed, changed), Situation::Agreed, "source 0 target 0 losers []");
    is(cell(&delete, changed, other), Situation::Conflict, "source 0 target 1 losers [Target]");
    is(cell(&delete, Seen::Gone, same), Situation::SourceGone, "Delete(Target, false)");
    is(cell(&delete, Seen::Gone, changed), Situation::SourceGoneTargetChanged, "Delete(Target, true)");
    is(cell(&delete, same, Seen::Gone), Situation::TargetGone, "Delete(Source, false)");
    is(cell(&delete, changed, Seen::Gone), Situation::TargetGoneSourceChanged, "Create(Target, [<integer>, <integer>])");
    is(cell(&delete, Seen::Gone, Seen::Gone), Situation::BothGone, "End");
    for gone in [cell(&keep, Seen::Gone, same), cell(&keep, Seen::Gone, changed), cell(&keep, same, Seen::Gone)] {
        assert_eq!(gone.action, Action::Keep, "{:?}", gone.situation);
    }
    is(cell(&recreate, Seen::Gone, same), Situation::SourceGone, "Create(Source, [<integer>, <integer>])");
    is(cell(&recreate, same, Seen::Gone), Situation::TargetGone, "Create(Target, [<integer>, <integer>])");
    is(ask(&delete, None, same, Seen::None), Situation::SourceOnly, "Create(Target, [<integer>, <integer>])");
    is(ask(&delete, None, Seen::None, same), Situation::TargetOnly, "Create(Source, [<integer>, <integer>])");
    is(ask(&delete, None, Seen::Unexplained, Seen::None), Situation::Nothing, "Ignore");
    let unlinked = Pair { status: PairStatus::Unlinked, ..pair(&old, &old) };
    is(ask(&delete, Some(&unlinked), changed, same), Situation::Unlinked, "Ignore");
}

/// Deleted on one side, changed on the other: what is done, by policy; first where the source has gone.
fn deleted_and_changed(link: &Link) -> [Decision; 2] {
    let changed = row(2, 1);
    [cell(link, Seen::Gone, Seen::Row(&changed)), cell(link, Seen::Row(&changed), Seen::Gone)]
}

#[test]
fn i4_a_record_deleted_here_and_changed_there_is_a_conflict() {
    let all = |conflict: ConflictPolicy, deletes: Deletes| {
        let link = Link { conflict, deletes, newest: Some(0), ..link() };
        let decisions = deleted_and_changed(&link);
        let situations = [Situation::SourceGoneTargetChanged, Situation::TargetGoneSourceChanged];
        assert_eq!(decisions.each_ref().map(|decision| decision.situation), situations);
        // What `plan` prints is what is done.
        for (decision, situation) in decisions.iter().zip(situations) {
            let done = match &decision.action {
                Action::Create(side, _) => Choice::Create(*side),
                Action::Delete(side, true) => Choice::Delete(*side),
                Action::Hold(Cause::Conflict) => Choice::Hold,
                Action::Keep => Choice::Keep,
                other => panic!("{other:?}"),
            };
            assert_eq!(choose(situation, &link), done);
        }
        situations.map(|situation| choose(situation, &link))
    };
    use ConflictPolicy::*;
    for source_wins in [Source, Merge, Newest] {
        assert_eq!(all(source_wins, Deletes::Delete), [Choice::Delete(Side::Target), Choice::Create(Side::Target)]);
    }
    assert_eq!(all(Target, Deletes::Delete), [Choice::Create(Side::Source), Choice::Delete(Side::Source)]);
    assert_eq!(all(Hold, Deletes::Delete), [Choice::Hold, Choice::Hold]);
    for any in [Source, Target, Merge, Newest, Hold] {
        assert_eq!(all(any, Deletes::Keep), [Choice::Keep, Choice::Keep], "a delete that does not travel is no conflict");
        assert_eq!(all(any, Deletes::Recreate), [Choice::Create(Side::Source), Choice::Create(Side::Target)], "it never wins");
    }
}

#[test]
fn i4_a_delete_that_may_not_travel_loses_to_its_owners_change() {
    let one_way = |direction: Direction, conflict: ConflictPolicy| {
        let mut link = Link { direction, conflict, ..link() };
        link.fields.iter_mut().for_each(|field| field.direction = direction);
        deleted_and_changed(&link).map(|decision| (decision.situation, decision.action))
    };
    for conflict in [ConflictPolicy::Source, ConflictPolicy::Target, ConflictPolicy::Hold] {
        let created = |side: Side| Action::Create(side, row(2, 1));
        let [gone, changed] = one_way(Direction::ToTarget, conflict);
        assert_eq!(gone, (Situation::SourceGone, Action::Delete(Side::Target, true)), "its values are kept");
        assert_eq!(changed, (Situation::TargetGoneSourceChanged, created(Side::Target)));
        let [changed, gone] = one_way(Direction::ToSource, conflict);
        assert_eq!(gone, (Situation::TargetGone, Action::Delete(Side::Source, true)), "its values are kept");
        assert_eq!(changed, (Situation::SourceGoneTargetChanged, created(Side::Source)));
    }
}

#[test]
fn i4_what_may_not_travel_saves_no_record_from_a_delete() {
    let mut link = Link { conflict: ConflictPolicy::Hold, ..link() };
    link.fields[0].direction = Direction::ToTarget;
    let [gone, _] = deleted_and_changed(&link);
    assert_eq!((gone.situation, gone.action), (Situation::SourceGone, Action::Delete(Side::Target, true)), "it is kept");
    // Nor does a value that the other side's blank was not let clear: nobody has changed it.
    let (source, target) = (vec![Value::Null, Value::Int(1)], row(5, 1));
    let mut pair = pair(&source, &target);
    pair.bases[0] = Some(Base { diverged: true, ..Base::agreed(source[0].fingerprint(), target[0].fingerprint()) });
    let gone = ask(&link, Some(&pair), Seen::Gone, Seen::Row(&target));
    assert_eq!((gone.situation, gone.action), (Situation::SourceGone, Action::Delete(Side::Target, true)), "it is kept");
}

#[test]
fn rule_2_absence_without_evidence_decides_nothing() {
    let old = row(1, 1);
    for deletes in [Deletes::Keep, Deletes::Delete, Deletes::Recreate] {
        let link = Link { deletes, ..link() };
        assert_eq!(cell(&link, Seen::Unexplained, Seen::Row(&old)).action, Action::Retry);
        assert_eq!(cell(&link, Seen::Row(&old), Seen::Unexplained).action, Action::Retry);
        assert_eq!(cell(&link, Seen::Gone, Seen::Unexplained).action, Action::Retry);
        let unreadable = cell(&link, Seen::Unreadable("row-level security"), Seen::Row(&old));
        assert!(matches!(unreadable.action, Action::Hold(Cause::Held(_))), "unreadable is never gone (A63)");
    }
}

#[test]
fn s4_13_source_wins_the_row() {
    let (source, target) = (row(2, 1), row(1, 9));
    let decision = cell(&link(), Seen::Row(&source), Seen::Row(&target));
    assert_eq!(decision.situation, Situation::Conflict);
    let update = update(&decision);
    assert_eq!(update.target, vec![(0, Value::Int(2)), (1, Value::Int(1))], "the target's change is overwritten");
    assert_eq!((update.source.len(), losers(update)), (0, vec![Side::Target]));
}

#[test]
fn e27_merge_keeps_both_when_the_fields_differ() {
    let link = Link { conflict: ConflictPolicy::Merge, ..link() };
    let (source, target) = (row(2, 1), row(1, 9));
    let decision = cell(&link, Seen::Row(&source), Seen::Row(&target));
    let merged = update(&decision);
    assert_eq!((&merged.target, &merged.source), (&vec![(0, Value::Int(2))], &vec![(1, Value::Int(9))]));
    assert_eq!(losers(merged), [], "nobody loses");
    let same_field = row(7, 9);
    let decision = cell(&link, Seen::Row(&source), Seen::Row(&same_field));
    let fought = update(&decision);
    assert_eq!(losers(fought), [Side::Target], "the source wins the field both changed");
    assert_eq!(fought.source, vec![(1, Value::Int(9))]);
}

#[test]
fn i4_both_sides_may_lose_where_a_field_goes_one_way() {
    let mut link = link();
    link.fields[1].direction = Direction::ToSource;
    let decision = cell(&link, Seen::Row(&row(2, 3)), Seen::Row(&row(4, 5)));
    let update = update(&decision);
    assert_eq!((&update.target, &update.source), (&vec![(0, Value::Int(2))], &vec![(1, Value::Int(5))]));
    assert_eq!(losers(update), Side::BOTH);
}

#[test]
fn conflict_policies_choose_their_winner() {
    let (source, target) = (row(20, 1), row(30, 1));
    let decide = |conflict: ConflictPolicy, newest: Option<usize>| {
        cell(&Link { conflict, newest, ..link() }, Seen::Row(&source), Seen::Row(&target))
    };
    assert_eq!(losers(update(&decide(ConflictPolicy::Target, None))), [Side::Source]);
    assert_eq!(losers(update(&decide(ConflictPolicy::Newest, Some(0)))), [Side::Source], "30 is newer than 20");
    assert_eq!(losers(update(&decide(ConflictPolicy::Newest, Some(1)))), [Side::Target], "a tie: the source");
    assert!(matches!(decide(ConflictPolicy::Hold, None).action, Action::Hold(_)));
}

#[test]
fn s0_2_a_blank_is_protected_and_counted() {
    let mut link = link();
    link.fields[0].blanks = Blanks::Keep;
    let (source, target) = (vec![Value::Null, Value::Int(1)], row(1, 1));
    let decision = cell(&link, Seen::Row(&source), Seen::Row(&target));
    let update = update(&decision);
    assert!(update.target.is_empty() && update.source.is_empty(), "nothing is cleared, nothing flows back");
    assert!(update.agreed[0].1.diverged);
}

#[test]
fn s0_3_the_winner_of_a_conflict_clears_nothing_either() {
    let mut link = link();
    link.fields[0].blanks = Blanks::Keep;
    let (source, target) = (vec![Value::Null, Value::Int(1)], row(5, 1));
    let decision = cell(&link, Seen::Row(&source), Seen::Row(&target));
    assert_eq!(decision.situation, Situation::Conflict);
    assert!(update(&decision).target.is_empty());
}

#[test]
fn rule_5_a_filled_blank_is_that_sides_change() {
    let mut link = link();
    link.fields[0].blanks = Blanks::Keep;
    let (source, target) = (vec![Value::Null, Value::Int(1)], row(1, 1));
    let mut pair = pair(&source, &target);
    pair.bases[0] = Some(Base { diverged: true, ..Base::agreed(Value::Null.fingerprint(), target[0].fingerprint()) });
    assert_eq!(ask(&link, Some(&pair), Seen::Row(&source), Seen::Row(&target)).action, Action::Ignore, "quiet");
    let filled = row(8, 1);
    let decision = ask(&link, Some(&pair), Seen::Row(&filled), Seen::Row(&target));
    assert_eq!(update(&decision).target, vec![(0, Value::Int(8))]);
    assert_eq!(losers(update(&decision)), [Side::Target], "only there is what the blank did not clear");
    let gone = ask(&link, Some(&pair), Seen::Gone, Seen::Row(&target));
    assert_eq!(gone.action, Action::Delete(Side::Target, true), "and it is kept before it is deleted");
}

#[test]
fn f20_twins_found_on_both_sides_fill_each_others_blanks() {
    let mut link = link();
    link.fields.iter_mut().for_each(|field| field.blanks = Blanks::Keep);
    let (source, target) = (vec![Value::Null, Value::Int(2)], vec![Value::Int(7), Value::Int(3)]);
    let decision = link_found(&link, &source, &target, &Plain);
    let update = update(&decision);
    assert_eq!(update.source, vec![(0, Value::Int(7))]);
    assert_eq!(update.target, vec![(1, Value::Int(2))], "the source wins what both fill");
    assert_eq!(losers(update), [Side::Target]);
}

#[test]
fn c7_twins_that_were_found_are_linked_also_if_nothing_that_differs_may_travel() {
    let mut link = Link { direction: Direction::ToTarget, ..link() };
    for field in &mut link.fields {
        (field.direction, field.blanks) = (Direction::ToTarget, Blanks::Keep);
    }
    let decision = link_found(&link, &vec![Value::Null; 2], &row(1, 2), &Plain);
    assert_eq!((decision.situation, decision.action), (Situation::Found, Action::Update(Update::default())));
}

#[test]
fn i6_an_empty_field_of_a_column_that_was_made_anew_clears_nothing() {
    let mut link = link();
    let (source, target) = (vec![Value::Null, Value::Int(2)], row(7, 2));
    let mut pair = pair(&target, &target);
    pair.bases = vec![None; 2];
    let first = ask(&link, Some(&pair), Seen::Row(&source), Seen::Row(&target));
    assert_eq!(update(&first).target, vec![(0, Value::Null)], "blanks travel");
    link.fields[0].remade.source = true;
    let ask = |link: &Link, source: &Row| ask(link, Some(&pair), Seen::Row(source), Seen::Row(&target));
    let decision = ask(&link, &source);
    let filled = update(&decision);
    assert_eq!((&filled.source, &filled.target, losers(filled)), (&vec![(0, Value::Int(7))], &vec![], vec![]));
    let refilled = ask(&link, &row(9, 2));
    assert_eq!((&update(&refilled).target, losers(update(&refilled))), (&vec![(0, Value::Int(9))], vec![Side::Target]));
}

/// In a record that both sides agreed on the two meet in a field that was mapped later: an empty value there is nobody's word,
/// and what changed in its other fields is decided as ever.
#[test]
fn i6_a_field_that_is_mapped_later_clears_nothing_and_loses_no_other_change() {
    let mut link = link();
    let with = |link: &Link, source: &Row, target: &Row| {
        let mut pair = pair(&row(1, 2), &row(1, 2));
        pair.bases[0] = None;
        ask(link, Some(&pair), Seen::Row(source), Seen::Row(target))
    };
    let empty = |second| vec![Value::Null, Value::Int(second)];
    // The empty one is filled, on either side, whoever changed the other field.
    let decision = with(&link, &empty(2), &row(7, 2));
    let filled = update(&decision);
    assert_eq!(decision.situation, Situation::TargetChanged);
    assert_eq!((&filled.source, &filled.target, losers(filled)), (&vec![(0, Value::Int(7))], &vec![], vec![]));
    let decision = with(&link, &row(7, 2), &empty(3));
    let filled = update(&decision);
    assert_eq!(decision.situation, Situation::TargetChanged);
    assert_eq!((&filled.source, &filled.target), (&vec![(1, Value::Int(3))], &vec![(0, Value::Int(7))]));
    assert_eq!(losers(filled), []);
    // Two values: the policy decides about this field alone.
    let decision = with(&link, &row(7, 2), &row(8, 3));
    let met = update(&decision);
    assert_eq!((&met.source, &met.target), (&vec![(1, Value::Int(3))], &vec![(0, Value::Int(7))]));
    assert_eq!(losers(met), [Side::Target]);
    link.conflict = ConflictPolicy::Target;
    let decision = with(&link, &row(7, 3), &row(8, 2));
    let met = update(&decision);
    assert_eq!((&met.source, &met.target), (&vec![(0, Value::Int(8))], &vec![(1, Value::Int(3))]));
    assert_eq!(losers(met), [Side::Source]);
    assert_eq!(with(&link, &row(7, 2), &row(8, 2)).situation, Situation::Conflict);
    link.conflict = ConflictPolicy::Hold;
    for (source, target) in [(row(7, 2), row(8, 2)), (row(7, 3), row(8, 2)), (row(7, 2), row(8, 3))] {
        assert_eq!(with(&link, &source, &target).action, Action::Hold(Cause::Conflict));
    }
    assert!(matches!(with(&link, &empty(2), &row(7, 2)).action, Action::Update(_)), "nobody changed what is empty");
}

#[test]
fn i6_a_column_that_was_made_anew_is_no_evidence_of_another_record() {
    let mut link = link();
    let mut pair = pair(&row(1, 1), &row(1, 1));
    pair.bases[1] = None;
    let now = vec![Value::Int(1), Value::Null];
    assert!(!rows_agree(&link, &pair, &now, Side::Source, &Plain));
    link.fields[1].remade.source = true;
    assert!(rows_agree(&link, &pair, &now, Side::Source, &Plain));
    assert!(!rows_agree(&link, &pair, &row(2, 1), Side::Source, &Plain));
    pair.bases[0] = None;
    link.fields[0].remade.source = true;
    assert!(!rows_agree(&link, &pair, &now, Side::Source, &Plain), "nothing tells");
}

#[test]
fn s0_3_a_blank_that_wins_a_conflict_overwrites_nobody_and_says_so() {
    let mut link = link();
    link.fields[0].blanks = Blanks::Keep;
    let blank = vec![Value::Null, Value::Int(1)];
    let conflict = cell(&link, Seen::Row(&blank), Seen::Row(&row(7, 1)));
    assert_eq!((losers(update(&conflict)), update(&conflict).stands), (vec![], true), "both changed it, and both stand");
    let change = cell(&link, Seen::Row(&blank), Seen::Row(&row(1, 1)));
    assert!(!update(&change).stands, "the target's is what both agreed on");
    let more = cell(&link, Seen::Row(&vec![Value::Null, Value::Int(2)]), Seen::Row(&row(7, 3)));
    assert_eq!(losers(update(&more)), [Side::Target], "of another field");
}

#[test]
fn one_way_links_report_and_never_write_back() {
    let link = Link { direction: Direction::ToTarget, ..link() };
    let (old, new) = (row(1, 1), row(2, 1));
    assert_eq!(cell(&link, Seen::Row(&old), Seen::Row(&new)).action, Action::Report);
    assert_eq!(ask(&link, None, Seen::None, Seen::Row(&new)).action, Action::Report);
    let decision = cell(&Link { conflict: ConflictPolicy::Target, ..link }, Seen::Row(&new), Seen::Row(&row(3, 1)));
    assert_eq!(losers(update(&decision)), [Side::Target], "a side that may not be written never loses");
}

#[test]
fn i4_a_change_that_may_not_travel_makes_no_conflict() {
    let mut link = link();
    link.fields[1].direction = Direction::ToSource;
    let base = row(1, 1);
    let pair = pair(&base, &base);
    // The source has a value of its own in a field that only the target writes; then the target's user edits another.
    for conflict in [ConflictPolicy::Source, ConflictPolicy::Target, ConflictPolicy::Merge, ConflictPolicy::Hold] {
        let link = Link { conflict, ..link.clone() };
        let (source, target) = (row(1, 7), row(2, 1));
        let decision = ask(&link, Some(&pair), Seen::Row(&source), Seen::Row(&target));
        assert_eq!(decision.situation, Situation::TargetChanged);
        let update = update(&decision);
        assert_eq!((&update.source, &update.target, losers(update)), (&vec![(0, Value::Int(2))], &vec![], vec![]));
        let alone = ask(&link, Some(&pair), Seen::Row(&source), Seen::Row(&base));
        assert_eq!((alone.situation, alone.action), (Situation::SourceChanged, Action::Report));
    }
    // What the target says of its field replaces it, and is kept.
    let (source, target) = (row(1, 7), row(1, 8));
    let decision = ask(&link, Some(&pair), Seen::Row(&source), Seen::Row(&target));
    let update = update(&decision);
    assert_eq!((&update.source, losers(update)), (&vec![(1, Value::Int(8))], vec![Side::Source]));
}

/// The source's columns have become decimals; the target's are numbers as before.
struct Wider;

impl Translate for Wider {
    fn translate(&self, field: usize, row: &Row, to: Side) -> Result<Value, Cause> {
        match (&row[field], to) {
            (Value::Decimal(number), Side::Target) if number.is_integer() => {
                Ok(Value::Int(number.to_string().parse::<f64>().unwrap() as i128))
            }
            (Value::Decimal(_), Side::Target) => Err(Cause::Held("it has a fraction".into())),
            (Value::Int(number), Side::Source) => Ok(wide(&format!("{number}.00"))),
            (other, _) => Ok(other.clone()),
        }
    }
}

fn wide(text: &str) -> Value {
    Value::Decimal(text.parse().unwrap())
}

#[test]
fn i4_a_column_of_a_wider_type_is_no_change() {
    let base = row(5, 7);
    let pair = pair(&base, &base);
    let ask = |link: &Link, source: Seen<'_>, target: Seen<'_>| {
        decide(&Question { link, pair: Some(&pair), source, target, only_set_off: false, translate: &Wider })
    };
    let (source, edited) = (vec![wide("5.00"), wide("7.00")], row(50, 7));
    assert_eq!(ask(&link(), Seen::Row(&source), Seen::Row(&base)).situation, Situation::InSync);
    let decision = ask(&link(), Seen::Row(&source), Seen::Row(&edited));
    assert_eq!(decision.situation, Situation::TargetChanged);
    assert_eq!((&update(&decision).source, losers(update(&decision))), (&vec![(0, wide("50.00"))], vec![]));
    assert_eq!(ask(&link(), Seen::Row(&source), Seen::Gone).situation, Situation::TargetGone);
    let other = vec![wide("6.00"), wide("7.00")];
    assert_eq!(ask(&link(), Seen::Row(&other), Seen::Row(&edited)).situation, Situation::Conflict, "that one was changed");
    assert_eq!(ask(&link(), Seen::Row(&other), Seen::Gone).situation, Situation::TargetGoneSourceChanged);
    assert!(rows_agree(&link(), &pair, &source, Side::Source, &Wider));
    assert!(!rows_agree(&link(), &pair, &other, Side::Source, &Wider));
}

#[test]
fn i4_what_the_other_side_only_rounds_to_the_same_is_a_change() {
    let base = row(10, 10);
    let pair = pair(&base, &base);
    let (source, target) = (row(15, 10), row(90, 10));
    let question = Question {
        link: &link(),
        pair: Some(&pair),
        source: Seen::Row(&source),
        target: Seen::Row(&target),
        only_set_off: false,
        translate: &Tens,
    };
    assert_eq!(decide(&question).situation, Situation::Conflict);
}

#[test]
fn b7_a_field_two_triggers_fight_over_is_held() {
    let base = row(1, 1);
    let mut pair = pair(&base, &base);
    pair.bases[0] = Some(Base { bounces: Base::BOUNCES_MAX * 2, ..Base::agreed(base[0].fingerprint(), base[0].fingerprint()) });
    let decision = ask(&link(), Some(&pair), Seen::Row(&row(2, 1)), Seen::Row(&base));
    assert_eq!(decision.action, Action::Hold(Cause::Restless(0)));
    let decision = ask(&link(), Some(&pair), Seen::Row(&row(1, 2)), Seen::Row(&base));
    assert!(matches!(decision.action, Action::Update(_)), "another field");
    pair.bases.iter_mut().flatten().for_each(Base::rest);
    let decision = ask(&link(), Some(&pair), Seen::Row(&row(2, 1)), Seen::Row(&base));
    assert!(matches!(decision.action, Action::Update(_)), "after a pause");
}

#[test]
fn b7_a_round_is_a_write_to_each_side() {
    let mut base = Base::agreed(Fingerprint(1), Fingerprint(1));
    let mut write = |side: Side| {
        base.bounces = Base::bounce(Some(base), side);
        base.fighting()
    };
    let rounds = (1..50).find(|_| write(Side::Source) | write(Side::Target));
    assert_eq!(rounds, Some(Base::BOUNCES_MAX));
    assert!(write(Side::Source), "it stays so until it rests");
    assert!(!write(Side::Source), "twice the same side is no answer");
}

#[test]
fn rule_8_a_reused_key_is_the_same_record_only_if_it_looks_the_same() {
    let base = row(1, 1);
    let pair = pair(&base, &base);
    let mut matching = link();
    assert!(rows_agree(&matching, &pair, &row(1, 1), Side::Source, &Plain));
    assert!(!rows_agree(&matching, &pair, &row(1, 2), Side::Source, &Plain), "without a rule all fields count");
    matching.matching = vec![MatchField { field: 0, normal: Normal::default(), proves: true }];
    assert!(rows_agree(&matching, &pair, &row(1, 2), Side::Source, &Plain));
    matching.matching[0].proves = false;
    assert!(!rows_agree(&matching, &pair, &row(1, 2), Side::Source, &Plain), "the shared key says nothing (C4)");
    assert!(rows_agree(&matching, &pair, &row(1, 1), Side::Source, &Plain));
}

/// What the two sides hold and remember after an action was carried out.
fn carry_out(decision: &Decision, pair: &mut Pair, source: &mut Row, target: &mut Row, store: impl Fn(&Value) -> Value) {
    let Action::Update(update) = &decision.action else { return };
    for (at, value) in &update.target {
        target[*at] = store(value);
    }
    for (at, value) in &update.source {
        source[*at] = value.clone();
    }
    for (at, _) in update.source.iter().chain(&update.target) {
        pair.bases[*at] = Some(Base::agreed(source[*at].fingerprint(), target[*at].fingerprint()));
    }
    for (at, base) in &update.agreed {
        pair.bases[*at] = Some(*base);
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![4 => (0i64..40).prop_map(|n| Value::Int(n.into())), 1 => Just(Value::Null)]
}

fn policy() -> impl Strategy<Value = (ConflictPolicy, Blanks)> {
    let conflict = prop_oneof![Just(ConflictPolicy::Source), Just(ConflictPolicy::Target), Just(ConflictPolicy::Merge),];
    (conflict, prop_oneof![Just(Blanks::Keep), Just(Blanks::Propagate)])
}

proptest! {
    /// I3: whatever both sides hold, one decision is enough; the next writes nothing. Also where the target
    /// cuts values, and where both sides meet for the first time.
    #[test]
    fn i3_one_decision_makes_it_quiet(
        values in proptest::collection::vec(value(), 8),
        (conflict, blanks) in policy(),
        cuts in any::<bool>(),
        met in any::<bool>(),
    ) {
        let mut link = Link { conflict, ..link() };
        link.fields.iter_mut().for_each(|field| field.blanks = blanks);
        let store = |value: &Value| match value {
            Value::Int(number) if cuts => Value::Int(number / 10 * 10),
            other => other.clone(),
        };
        let translate: &dyn Translate = if cuts { &Tens } else { &Plain };
        let base_source = values[0..2].to_vec();
        let base_target: Row = base_source.iter().map(&store).collect();
        let mut pair = pair(&base_source, &base_target);
        if !met {
            pair.bases = vec![None, None];
        }
        let mut source = values[2..4].to_vec();
        let mut target: Row = values[4..6].iter().map(&store).collect();
        let ask = |pair: &Pair, source: &Row, target: &Row| {
            decide(&Question { link: &link, pair: Some(pair), source: Seen::Row(source), target: Seen::Row(target), only_set_off: false, translate })
        };
        let first = ask(&pair, &source, &target);
        carry_out(&first, &mut pair, &mut source, &mut target, store);
        let second = ask(&pair, &source, &target);
        prop_assert!(matches!(second.action, Action::Ignore), "{:?} then {:?}", first, second);
    }

    /// Rule 12: a field equal to its base on both sides is never written, whoever wins.
    #[test]
    fn rule_12_unchanged_fields_are_never_written(a in 0i64..40, b in 0i64..40, c in 0i64..40, (conflict, _) in policy()) {
        let link = Link { conflict, ..link() };
        // What the target has made of the second field, no mapping explains.
        let (base_source, base_target) = (row(a, 15), row(a, 7));
        let pair = pair(&base_source, &base_target);
        let (source, target) = (row(b, 15), row(c, 7));
        let question = Question { link: &link, pair: Some(&pair), source: Seen::Row(&source), target: Seen::Row(&target), only_set_off: false, translate: &Tens };
        if let Action::Update(update) = decide(&question).action {
            prop_assert!(update.source.iter().chain(&update.target).all(|(at, _)| *at == 0));
        }
    }

    /// Replaying entries that were folded before changes nothing (I9).
    #[test]
    fn i9_folding_twice_is_folding_once(ops in proptest::collection::vec((0u8..4, 1i64..5, 1i64..5), 1..12)) {
        let entries: Vec<Entry> = ops.iter().enumerate().map(|(at, (op, key, to))| Entry {
            collection: 0,
            op: match op {
                0 => Op::Insert,
                1 => Op::Delete,
                2 if key != to => Op::Rename { to: Key::int(*to) },
                _ => Op::Update,
            },
            key: Key::int(*key),
            pos: Pos(at as i64 + 1),
            transaction: None,
            own: false,
        }).collect();
        let pairs: Vec<Pair> = (1..3).map(|n| Pair {
            id: n,
            key: Both { source: Some(Key::int(n).encode()), target: Some(Key::int(n + 100).encode()) },
            ..pair(&row(1, 1), &row(1, 1))
        }).collect();
        let first = fold(&entries, Side::Source, PairIndex::new(pairs.clone(), Side::Source), &AsLogged);
        let mut after = pairs;
        for changed in &first.changed {
            if let Some(pair) = after.iter_mut().find(|pair| pair.id == changed.id) {
                *pair = changed.clone();
            }
        }
        let holders: Vec<_> = after.iter().filter_map(|pair| pair.key.source.clone()).collect();
        let mut distinct = holders.clone();
        distinct.sort();
        distinct.dedup();
        prop_assert_eq!(holders.len(), distinct.len(), "one holder a key");
        let second = fold(&entries, Side::Source, PairIndex::new(after, Side::Source), &AsLogged);
        prop_assert!(second.changed.is_empty());
    }

    /// Coalescing keeps every key once, with its last position.
    #[test]
    fn a27_coalesce_names_every_key_once(keys in proptest::collection::vec(1i64..20, 0..60)) {
        let entries: Vec<Entry> = keys.iter().enumerate().map(|(at, key)| Entry {
            collection: 0, op: Op::Update, key: Key::int(*key), pos: Pos(at as i64), transaction: None, own: false,
        }).collect();
        let dirty = coalesce(&entries);
        for Dirty { key, pos, .. } in &dirty {
            let last = keys.iter().rposition(|k| Key::int(*k).encode() == *key).map(|at| at as i64);
            prop_assert_eq!(Some(pos.0), last);
        }
        let mut distinct = keys.clone();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(dirty.len(), distinct.len());
    }
}

#[test]
fn f8_a_brake_needs_count_and_share() {
    let limit = BrakeLimits::default().deletes;
    assert!(!tripped(limit, 50, 100), "fifty are let through");
    assert!(tripped(limit, 51, 100));
    assert!(!tripped(limit, 51, 10_000), "half a percent is a day's work");
    assert!(tripped(limit, 1_001, 10_000));
    assert!(!tripped(None, 1_000_000, 1));
}

fn logged(ops: Vec<(Op, i64)>) -> Vec<Entry> {
    let entry = |(at, (op, key))| Entry {
        collection: 0,
        op,
        key: Key::int(key),
        pos: Pos(at as i64 + 10),
        transaction: None,
        own: false,
    };
    ops.into_iter().enumerate().map(entry).collect()
}

fn to(key: i64) -> Op {
    Op::Rename { to: Key::int(key) }
}

#[test]
fn rule8_what_was_put_back_is_looked_up_where_it_is_now() {
    let found = |ops| put_back(&logged(ops), &HashMap::new());
    let told = |at, key, changed| vec![Told { at, key: Key::int(key), changed }];
    assert_eq!(found(vec![(Op::Replace, 1)]), told(0, 1, false));
    assert_eq!(found(vec![(Op::PutBack, 1), (Op::Update, 1)]), told(0, 1, true));
    assert_eq!(found(vec![(Op::PutBack, 1), (to(5), 1), (to(1), 2)]), told(0, 5, false), "it has moved on");
    assert_eq!(found(vec![(Op::PutBack, 1), (to(5), 1), (Op::Update, 5), (Op::Update, 1)]), told(0, 5, true));
    assert_eq!(found(vec![(Op::PutBack, 1), (Op::Delete, 1)]), [], "it is gone again");
    assert_eq!(found(vec![(Op::PutBack, 1), (Op::Insert, 1)]), []);
    assert_eq!(found(vec![(Op::PutBack, 1), (to(1), 2)]), [], "another one has its key");
    assert_eq!(found(vec![(to(1), 2), (Op::Return { deleted: Pos(1) }, 1)]), told(1, 1, false));
    let twice = found(vec![(Op::PutBack, 1), (Op::Replace, 1)]);
    assert_eq!(twice.iter().map(|told| (told.at, told.changed)).collect::<Vec<_>>(), [(1, false), (0, true)]);
}

/// An answer for every entry, and one that was late, with the one it happened before.
struct Says(Back, Option<(usize, usize)>);

impl Evidence for Says {
    fn back(&self, _: usize, _: &Pair) -> Back {
        self.0
    }

    fn late(&self, at: usize) -> Option<Late> {
        self.1.filter(|(late, _)| *late == at).map(|(_, before)| Late { before: Some(before) })
    }
}

/// The pair number `n` has the keys `n` and `n` + 100.
fn numbered(n: i64) -> Pair {
    let key = Both { source: Some(Key::int(n).encode()), target: Some(Key::int(n + 100).encode()) };
    Pair { id: n, key, ..pair(&row(1, 1), &row(1, 1)) }
}

fn folded(ops: Vec<(Op, i64)>, pairs: impl IntoIterator<Item = i64>, evidence: &dyn Evidence) -> Folded {
    fold(&logged(ops), Side::Source, PairIndex::new(pairs.into_iter().map(numbered).collect(), Side::Source), evidence)
}

#[test]
fn rule8_another_record_put_back_under_a_key_takes_it_from_the_pair() {
    for op in [Op::Replace, Op::PutBack] {
        let folded = |back| folded(vec![(op.clone(), 1)], [1], &Says(back, None));
        assert!(folded(Back::Same).lost.is_empty());
        assert_eq!(folded(Back::Same).changed[0].key, numbered(1).key, "the same record with a new row");
        for back in [Back::Other, Back::Unknown] {
            let folded = folded(back);
            assert_eq!(folded.lost, [1]);
            assert_eq!(folded.changed[0].former.source, numbered(1).key.source);
            assert_eq!(folded.unsure, if back == Back::Unknown { vec![1] } else { vec![] });
        }
    }
}

/// A trigger of the application's closes the gap in a list before the delete that set it off is logged.
fn gap() -> Vec<(Op, i64)> {
    vec![(to(2), 3), (to(3), 4), (Op::Delete, 2)]
}

#[test]
fn rule8_what_a_trigger_did_before_what_set_it_off_is_looked_into() {
    let found = |ops, midway| {
        let told = late(&logged(ops), midway).into_iter().map(|(told, late)| (told.at, told.key, late.before));
        let mut told: Vec<_> = told.collect();
        told.sort_by_key(|(at, ..)| *at);
        told
    };
    assert_eq!(found(gap(), false), [(1, Key::int(3), Some(0)), (2, Key::int(2), Some(0))]);
    let moved_on = vec![(to(2), 3), (Op::Delete, 2), (to(7), 2)];
    assert_eq!(found(moved_on, false), [(1, Key::int(7), Some(0))], "it has moved on");
    assert_eq!(found(vec![(to(2), 3), (Op::Delete, 2), (Op::Insert, 2)], false), [], "the key is another one's");
    assert_eq!(found(vec![(to(2), 3), (to(4), 2), (Op::Delete, 2)], false), [], "nobody has it");
    assert_eq!(found(vec![(Op::Insert, 2), (Op::Delete, 2)], false), [(1, Key::int(2), Some(0))]);
    assert_eq!(found(vec![(to(5), 2), (to(2), 3)], false), [(1, Key::int(2), Some(0))]);
    assert_eq!(found(vec![(Op::Delete, 2), (to(2), 3)], true), [(1, Key::int(2), Some(0))]);
    assert_eq!(found(vec![(Op::Delete, 2), (Op::Insert, 2), (to(2), 3)], false), []);
    assert_eq!(found(vec![(Op::Delete, 2)], false), []);
    assert_eq!(found(vec![(Op::Delete, 2)], true), [(0, Key::int(2), None)], "what came before it may have been read before");
}

#[test]
fn rule8_a_delete_that_was_logged_late_is_not_of_the_record_that_moved_up() {
    let after = folded(gap(), 1..=4, &Says(Back::Same, Some((2, 0))));
    assert_eq!(after.lost, [2]);
    let keys = |n: i64| after.changed.iter().find(|pair| pair.id == n).and_then(|pair| pair.key.source.clone());
    assert_eq!([keys(2), keys(3), keys(4)], [None, Some(Key::int(2).encode()), Some(Key::int(3).encode())]);
    // Read again, and the record looks gone meanwhile: it was told before.
    let again = fold(&logged(gap()), Side::Source, PairIndex::new(after.changed, Side::Source), &AsLogged);
    assert!(again.changed.is_empty());
    assert_eq!(folded(gap(), 1..=4, &AsLogged).lost, [2, 3], "it has gone, too");
}

#[test]
fn rule8_a_delete_that_was_logged_behind_the_insert_of_its_key_was_undone_by_it() {
    let ops = || vec![(Op::Insert, 1), (Op::Delete, 1)];
    for (back, lost) in [(Back::Same, vec![]), (Back::Other, vec![1]), (Back::Unknown, vec![1])] {
        let after = folded(ops(), [1], &Says(back, Some((1, 0))));
        assert_eq!((after.lost, after.unsure.len()), (lost, usize::from(back == Back::Unknown)));
        assert_eq!(after.returned, if back == Back::Same { vec![1] } else { vec![] });
    }
    assert_eq!(folded(ops(), [1], &AsLogged).lost, [1]);
}

#[test]
fn rule8_a_key_that_a_trigger_has_changed_once_more_is_the_renamed_records() {
    let goes_to = |before: (Op, i64)| {
        let after = folded(vec![before, (to(5), 1)], [1], &Says(Back::Same, Some((1, 0))));
        after.changed[0].key.source.clone()
    };
    assert_eq!(goes_to((to(6), 5)), Some(Key::int(6).encode()));
    assert_eq!(goes_to((Op::Delete, 5)), None);
    assert_eq!(goes_to((to(1), 5)), Some(Key::int(1).encode()), "as it was");
    assert_eq!(folded(vec![(to(6), 5), (to(5), 1)], [1], &AsLogged).changed[0].key.source, Some(Key::int(5).encode()));
}
