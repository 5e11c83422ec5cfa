//! Scripts about twins that are found: on both sides at once, and again after one of them was lost.

use twinrow::model::{ConflictPolicy, Value};

use crate::database::{X, Y};
use crate::options::{Home, Options, Shape};
use crate::scripts::{S, Script, T, TABLE, add, quiet, set};

const HELD: i64 = 2;

/// Two new records that are twins, and of which nobody knows yet; their keys.
fn entered_twice(script: &mut Script) -> [i64; 2] {
    // The first compare is over: only the log names them.
    script.sync();
    let s = script.insert(S);
    let of = script.entity(S, s);
    let t = script.0.world().databases[T].new_key(0);
    script.insert_as(T, t, Some(of));
    [s, t]
}

#[test]
fn rule1_of_two_new_records_that_are_held_both_are_remembered() {
    let mut script = Script::new(Options { matching: true, conflict: ConflictPolicy::Hold, ..quiet() });
    let [s, t] = entered_twice(&mut script);
    script.sync();
    assert_eq!(script.reasons(), [HELD; 2]);
    script.later();
    assert_eq!(script.reasons(), [HELD; 2], "also when they are tried again together");
    let of = script.entity(T, t);
    script.delete(S, s);
    script.sync();
    assert_eq!(script.reasons(), [HELD], "what is gone is not held any more");
    script.later();
    assert!(script.key(S, of).is_some(), "the other one is a new record now");
    script.ends_well();
}

#[test]
fn rule1_of_two_new_records_that_are_busy_both_are_remembered() {
    let mut script = Script::new(Options { matching: true, ..quiet() });
    let [s, t] = entered_twice(&mut script);
    let of = script.entity(T, t);
    script.open(T, |statement, world| set(statement, world, T, t, X));
    script.sync();
    script.delete(S, s);
    script.end(T, true);
    script.later();
    assert!(script.key(S, of).is_some(), "the other one is a new record now");
    script.ends_well();
}

/// A record of the source is deleted, and there again under another key, with other values.
fn imported(script: &mut Script, s: i64, of: i64) {
    script.delete(S, s);
    script.insert_as(S, s + 5, Some(of));
}

#[test]
fn rule8_a_record_that_is_found_again_and_held_keeps_its_twin() {
    let mut script = Script::new(Options { matching: true, conflict: ConflictPolicy::Hold, ..quiet() });
    let [s, t] = script.twins();
    let of = script.entity(S, s);
    script.update(T, t, X);
    let before = script.rows(T);
    imported(&mut script, s, of);
    script.sync();
    script.later();
    assert_eq!(script.rows(T), before, "both sides changed, and a person decides");
    assert_eq!(script.reasons(), [HELD], "nothing is lost any more");
    script.ends_well();
}

#[test]
fn rule8_a_record_that_is_there_again_and_not_read_yet_keeps_its_twin() {
    let mut script = Script::new(Options { matching: true, limit: 1, ..quiet() });
    let [s, t] = script.twins();
    let of = script.entity(S, s);
    imported(&mut script, s, of);
    script.sync();
    assert_eq!(script.key(T, of), Some(t), "the log says it in two parts");
    script.ends_well();
}

#[test]
fn rule8_a_record_that_is_there_again_and_moves_on_keeps_its_twin() {
    let mut script = Script::new(Options { matching: true, limit: 2, ..quiet() });
    let [s, t] = script.twins();
    let of = script.entity(S, s);
    imported(&mut script, s, of);
    script.rename(S, s + 5, s + 6);
    script.sync();
    assert_eq!(script.key(T, of), Some(t));
    script.ends_well();
}

#[test]
fn rule8_a_crash_after_a_record_was_found_again_loses_nothing() {
    let mut script = Script::new(Options { matching: true, ..quiet() });
    let [s, t] = script.twins();
    let of = script.entity(S, s);
    imported(&mut script, s, of);
    script.start_until("identify.revived");
    script.crash();
    script.sync();
    assert_eq!(script.key(T, of), Some(t));
    script.ends_well();
}

#[test]
fn rule8_a_survivor_that_several_match_waits_for_a_person() {
    let mut script = Script::new(Options { matching: true, ..quiet() });
    let [s, t] = script.twins();
    let of = script.entity(S, s);
    script.delete(S, s);
    script.user(S, |statement, world| {
        add(statement, world, s + 5, of);
        add(statement, world, s + 6, of);
    });
    script.sync();
    script.later();
    assert_eq!(script.key(T, of), Some(t), "one of them may be its twin");
    assert_eq!(script.reasons(), [HELD; 3]);
    // A person takes one of them away.
    script.delete(S, s + 6);
    script.later();
    assert_eq!(script.key(T, of), Some(t));
    script.ends_well();
}

/// So many records on each side, of the same entities, each of which refers to the next and the last to the first;
/// their keys.
fn rings_of_twins(script: &mut Script, length: usize) -> [Vec<i64>; 2] {
    let entities: Vec<i64> = (0..length).map(|_| script.0.world().id() as i64).collect();
    [S, T].map(|at| {
        script.user(at, |statement, world| {
            let keys: Vec<i64> = entities.iter().map(|_| world.databases[at].new_key(TABLE)).collect();
            for (key, of) in keys.iter().zip(&entities) {
                let number = world.id() as i64;
                statement.add_under(world, TABLE, (*key, Value::Null), *of, number);
            }
            for n in 0..length {
                statement.refer_to(world, TABLE, keys[n], keys[(n + 1) % length]);
            }
            keys
        })
    })
}

#[test]
fn c15_twins_that_refer_to_each_other_are_linked_first() {
    for (length, conflict) in [(1, ConflictPolicy::Source), (2, ConflictPolicy::Source), (3, ConflictPolicy::Newest)] {
        let mut script = Script::new(Options { matching: true, shape: Shape::Circle, conflict, ..quiet() });
        let [_, t] = rings_of_twins(&mut script, length);
        script.sync();
        assert_eq!(script.reasons(), [0; 0], "nobody waits in a ring of {length}");
        script.update(T, t[0], X);
        script.ends_well();
    }
}

#[test]
fn c15_twins_of_which_one_side_closes_the_ring_are_linked_first() {
    let mut script = Script::new(Options { matching: true, shape: Shape::Circle, ..quiet() });
    let [of, new] = [0; 2].map(|_| script.0.world().id() as i64);
    let t = script.user(T, |statement, world| {
        let key = world.databases[T].new_key(TABLE);
        add(statement, world, key, of);
        key
    });
    script.user(S, |statement, world| {
        let keys = [0; 2].map(|_| world.databases[S].new_key(TABLE));
        for (key, of) in keys.into_iter().zip([of, new]) {
            let number = world.id() as i64;
            statement.add_under(world, TABLE, (key, Value::Null), of, number);
        }
        statement.refer_to(world, TABLE, keys[0], keys[1]);
        statement.refer_to(world, TABLE, keys[1], keys[0]);
    });
    script.sync();
    assert_eq!(script.reasons(), [0; 0], "nobody waits");
    assert_eq!(script.key(T, of), Some(t));
    assert!(script.key(T, new).is_some(), "the other one was created");
    script.ends_well();
}

#[test]
fn c15_a_crash_after_twins_were_linked_first_loses_nothing() {
    let mut script = Script::new(Options { matching: true, shape: Shape::Circle, ..quiet() });
    rings_of_twins(&mut script, 3);
    script.start_until("rings.linked");
    script.crash();
    script.sync();
    assert_eq!(script.reasons(), [0; 0]);
    script.ends_well();
}

/// Whoever is linked before it is decided may be found to differ on both sides only then.
#[test]
fn c15_twins_in_a_ring_that_differ_are_held_for_a_person() {
    let options = Options { matching: true, shape: Shape::Circle, conflict: ConflictPolicy::Hold, ..quiet() };
    let mut script = Script::new(options);
    rings_of_twins(&mut script, 2);
    script.sync();
    assert_eq!(script.reasons(), [HELD; 2], "their values differ, nothing waits");
    script.ends_well();
}

/// Two records of the source that look the same to us, and so do their twins: the keys of these, in the same order. What is
/// not mapped tells the twins apart; it is returned too.
fn look_alikes(script: &mut Script) -> ([i64; 2], [i64; 2], [Value; 2]) {
    script.0.world().setup.mapped = false;
    let one = script.insert(S);
    let row = script.0.world().databases[S].tables[TABLE].rows[&one].clone();
    let other = script.0.world().databases[S].new_key(TABLE);
    script.user(S, |statement, world| statement.put_back(world, TABLE, other, row));
    script.sync();
    // Whose twin is whose shows as long as they differ.
    let number = script.0.world().id() as i64;
    for key in [one, other] {
        script.user(S, |statement, world| {
            let before = world.databases[S].tables[TABLE].rows[&key].clone();
            statement.set(world, TABLE, key, &before, X, number);
        });
        if key == one {
            script.sync();
        }
    }
    let now = script.0.world().databases[S].tables[TABLE].rows[&one][X].clone();
    let rows = script.0.world().databases[T].tables[TABLE].rows.clone();
    let (twins, others): (Vec<i64>, Vec<i64>) = rows.keys().partition(|key| rows[*key][X] == now);
    let twins = [twins[0], others[0]];
    twins.iter().for_each(|key| script.update(T, *key, Y));
    script.sync();
    let rows = &script.0.world().databases[T].tables[TABLE].rows;
    assert_eq!(rows[&twins[0]][X], rows[&twins[1]][X]);
    ([one, other], twins, twins.map(|key| rows[&key][Y].clone()))
}

/// Two records of a side exchange their keys, in one transaction.
fn exchange(script: &mut Script, at: usize, keys: [i64; 2]) {
    script.user(at, |statement, world| {
        let rows = keys.map(|key| world.databases[at].tables[TABLE].rows[&key].clone());
        let [one, other] = rows;
        statement.move_to(world, TABLE, keys[0], one.clone(), keys[0] + 7_000);
        statement.move_to(world, TABLE, keys[1], other, keys[0]);
        statement.move_to(world, TABLE, keys[0] + 7_000, one, keys[1]);
    });
}

#[test]
fn rule3_records_that_look_the_same_may_exchange_their_keys_before_one_is_written() {
    for home in [Home::Target, Home::Third] {
        let mut script = Script::new(Options { home, ..quiet() });
        let ([one, _], twins, marks) = look_alikes(&mut script);
        script.update(S, one, X);
        let now = script.0.world().databases[S].tables[TABLE].rows[&one][X].clone();
        let process = script.start_until("apply.begun");
        exchange(&mut script, T, twins);
        script.polls(process, 600);
        script.crash();
        script.sync();
        let world = script.0.world();
        let written = world.databases[T].tables[TABLE].rows.values().filter(|row| row[X] == now);
        assert_eq!(written.map(|row| row[Y].clone()).collect::<Vec<_>>(), [marks[0].clone()], "{home:?}");
    }
}

#[test]
fn rule3_records_that_look_the_same_may_exchange_their_keys_before_one_is_deleted() {
    let mut script = Script::new(quiet());
    let ([one, _], twins, marks) = look_alikes(&mut script);
    script.delete(S, one);
    let process = script.start_until("apply.begun");
    exchange(&mut script, T, twins);
    script.polls(process, 600);
    script.crash();
    script.sync();
    let world = script.0.world();
    let left = world.databases[T].tables[TABLE].rows.values();
    assert_eq!(left.map(|row| row[Y].clone()).collect::<Vec<_>>(), [marks[1].clone()]);
}

/// Two new records that refer to each other; the entities are others, or those given.
fn couple(script: &mut Script, at: usize, entities: Option<[i64; 2]>) -> [i64; 2] {
    script.user(at, |statement, world| {
        let keys = [0; 2].map(|_| world.databases[at].new_key(TABLE));
        let entities = entities.unwrap_or_else(|| [0; 2].map(|_| world.id() as i64));
        for (own, other) in [(0, 1), (1, 0)] {
            let number = world.id() as i64;
            let parent = Value::Int(i128::from(keys[other]));
            statement.add_under(world, TABLE, (keys[own], parent), entities[own], number);
        }
        entities
    })
}

#[test]
fn c15_a_ring_that_is_matched_by_its_references_is_not_made_twice() {
    for home in [Home::Source, Home::Target, Home::Third] {
        let mut script = Script::new(Options { home, shape: Shape::Circle, matching: true, by_parent: true, ..quiet() });
        let entities = couple(&mut script, S, None);
        couple(&mut script, T, Some(entities));
        script.sync();
        script.later();
        let counts = [S, T].map(|at| script.rows(at).len());
        assert_eq!(counts, [2, 2], "{home:?}");
        assert_eq!(script.reasons(), [HELD; 4], "a person is told");
    }
}

#[test]
fn c15_a_ring_that_nothing_can_be_the_twin_of_is_made() {
    let mut script = Script::new(Options { shape: Shape::Circle, matching: true, by_parent: true, ..quiet() });
    let entities = couple(&mut script, S, None);
    script.later();
    assert_eq!(script.rows(T).len(), 2);
    // Another couple with the same names: what it matches but for the references has twins.
    couple(&mut script, T, Some(entities));
    script.later();
    script.later();
    assert_eq!([S, T].map(|at| script.rows(at).len()), [4, 4]);
    assert_eq!(script.reasons(), [0; 0]);
}

#[test]
fn rule13_a_ring_that_is_entered_on_the_other_side_meanwhile_is_not_made_twice() {
    let mut script = Script::new(Options { shape: Shape::Circle, matching: true, by_parent: true, ..quiet() });
    let entities = couple(&mut script, S, None);
    let process = script.start_until("apply.begun");
    couple(&mut script, T, Some(entities));
    script.polls(process, 2_000);
    script.crash();
    script.later();
    assert_eq!([S, T].map(|at| script.rows(at).len()), [2, 2]);
}
