//! Scripts about records that are deleted on one side and changed on the other: the conflict's policy says what becomes of
//! them, whenever the two are read.

use twinrow::model::{ConflictPolicy, Deletes, Direction, Value};

use crate::database::{PARENT, X};
use crate::options::{Home, Options, Shape};
use crate::scripts::{S, Script, T, TABLE, quiet};

const HELD: i64 = 2;

/// A record both sides have, its keys, and what it is.
fn one(options: Options) -> (Script, [i64; 2], i64) {
    let mut script = Script::new(options);
    let keys = script.twins();
    let of = script.entity(S, keys[S]);
    (script, keys, of)
}

/// Deleted on the side `gone`, changed on the other one; both in one run.
fn delete_and_change(script: &mut Script, keys: [i64; 2], gone: usize) {
    script.delete(gone, keys[gone]);
    script.update(1 - gone, keys[1 - gone], X);
    script.sync();
}

#[test]
fn i4_the_winner_of_a_conflict_has_its_record_or_its_delete() {
    for (conflict, winner) in [(ConflictPolicy::Source, S), (ConflictPolicy::Merge, S), (ConflictPolicy::Target, T)] {
        for gone in [S, T] {
            let (mut script, keys, of) = one(Options { conflict, ..quiet() });
            delete_and_change(&mut script, keys, gone);
            let stands = [S, T].map(|at| script.key(at, of).is_some());
            assert_eq!(stands, [gone != winner; 2], "{conflict:?}, gone in {gone}");
            script.ends_well();
        }
    }
}

#[test]
fn a11_a_change_that_no_log_tells_of_stands_against_a_delete() {
    for gone in [S, T] {
        let survivor = 1 - gone;
        let conflict = if survivor == S { ConflictPolicy::Source } else { ConflictPolicy::Target };
        let (mut script, keys, of) = one(Options { conflict, ..quiet() });
        script.update(survivor, keys[survivor], X);
        script.0.world().databases[survivor].forget_log(TABLE);
        script.delete(gone, keys[gone]);
        script.sync();
        assert!([S, T].into_iter().all(|at| script.key(at, of).is_some()), "gone in {gone}");
        script.ends_well();
    }
}

#[test]
fn i4_a_delete_and_a_change_wait_for_a_person_under_hold() {
    for gone in [S, T] {
        let (mut script, keys, of) = one(Options { conflict: ConflictPolicy::Hold, ..quiet() });
        delete_and_change(&mut script, keys, gone);
        let survivor = 1 - gone;
        assert_eq!((script.key(gone, of), script.key(survivor, of)), (None, Some(keys[survivor])));
        assert_eq!(script.reasons(), [HELD], "gone in {gone}");
        script.later();
        script.update(survivor, keys[survivor], X);
        script.sync();
        assert_eq!((script.key(gone, of), script.key(survivor, of)), (None, Some(keys[survivor])), "still");
        assert_eq!(script.reasons(), [HELD]);
        // A person has decided that it goes.
        script.delete(survivor, keys[survivor]);
        script.sync();
        assert_eq!(script.reasons(), [] as [i64; 0], "nothing is left to decide");
        script.ends_well();
    }
}

#[test]
fn i4_a_held_delete_is_decided_by_the_next_policy() {
    for (conflict, stands) in [(ConflictPolicy::Source, false), (ConflictPolicy::Target, true)] {
        let (mut script, keys, of) = one(Options { conflict: ConflictPolicy::Hold, ..quiet() });
        delete_and_change(&mut script, keys, S);
        script.0.world().setup.conflict = conflict;
        script.sync();
        assert_eq!([S, T].map(|at| script.key(at, of).is_some()), [stands; 2], "{conflict:?}");
        assert_eq!(script.reasons(), [] as [i64; 0]);
        script.ends_well();
    }
}

#[test]
fn rule12_a_record_deleted_in_the_copy_comes_back_when_its_owner_changes_it() {
    for (direction, owner) in [(Direction::ToTarget, S), (Direction::ToSource, T)] {
        for in_two_runs in [false, true] {
            for compared in [false, true] {
                let (mut script, keys, of) = one(Options { direction: Direction::Both, ..quiet() });
                script.0.world().setup.direction = direction;
                script.0.world().options.direction = direction;
                script.sync();
                let copy = 1 - owner;
                script.delete(copy, keys[copy]);
                if in_two_runs {
                    script.sync();
                    script.later();
                    assert_eq!(script.key(copy, of), None, "the delete stays in the copy");
                }
                script.update(owner, keys[owner], X);
                script.0.start(compared);
                script.0.cycles(6);
                script.crash();
                let case = format!("{direction:?} {in_two_runs} {compared}");
                assert!(script.key(copy, of).is_some(), "{case}");
                let x = |at: usize| script.rows(at).into_iter().next().map(|row| row[X]);
                assert_eq!(x(S), x(T), "{case}");
                script.ends_well();
            }
        }
    }
}

#[test]
fn s2_22_a_survivor_that_was_kept_is_not_deleted_by_another_policy() {
    let (mut script, keys, of) = one(Options { deletes: Deletes::Keep, ..quiet() });
    script.delete(S, keys[S]);
    script.sync();
    {
        let mut world = script.0.world();
        world.setup.deletes = Deletes::Delete;
        world.options.deletes = Deletes::Delete;
    }
    script.update(T, keys[T], X);
    script.sync();
    script.later();
    assert_eq!((script.key(S, of), script.key(T, of)), (None, Some(keys[T])));
}

/// Two that refer to each other, and are deleted together in the target; the link makes again what is lost.
fn dissolved(home: Home, by_parent: bool) -> (Script, [i64; 2]) {
    let options = Options { home, shape: Shape::Circle, deletes: Deletes::Recreate, matching: by_parent, by_parent, ..quiet() };
    let mut script = Script::new(options);
    let ring = [0; 2].map(|_| script.0.world().id() as i64);
    script.user(S, |statement, world| {
        let keys = [0; 2].map(|_| world.databases[S].new_key(TABLE));
        for (key, of) in keys.into_iter().zip(ring) {
            let number = world.id() as i64;
            statement.add_under(world, TABLE, (key, Value::Null), of, number);
        }
        statement.refer_to(world, TABLE, keys[0], keys[1]);
        statement.refer_to(world, TABLE, keys[1], keys[0]);
    });
    script.later();
    assert!(is_ring(&script, T, ring));
    script.user(T, |statement, world| {
        let rows = world.databases[T].tables[TABLE].rows.clone();
        rows.iter().for_each(|(key, row)| statement.delete(world, TABLE, *key, row));
    });
    (script, ring)
}

/// Both are there, and each refers to the other.
fn is_ring(script: &Script, at: usize, [one, other]: [i64; 2]) -> bool {
    let parent = |of: i64| script.rows(at).into_iter().find(|row| row[0] == of).map(|row| row[PARENT]);
    parent(one).is_some() && (parent(one), parent(other)) == (script.key(at, other), script.key(at, one))
}

#[test]
fn c15_a_ring_that_was_deleted_is_made_again() {
    for home in [Home::Source, Home::Target, Home::Third] {
        for by_parent in [false, true] {
            let (mut script, ring) = dissolved(home, by_parent);
            script.sync();
            assert!(is_ring(&script, T, ring), "{home:?} {by_parent} {:?}", script.rows(T));
            assert_eq!(script.reasons(), [0; 0]);
            script.ends_well();
        }
    }
}

/// A process that ends when it has come to a step so often; `false`: it has done all it had to do before.
fn ends_at(script: &mut Script, step: &'static str, times: usize) -> bool {
    script.0.start(false);
    let (process, mut passed) = (script.0.started, 0);
    for _ in 0..4_000 {
        script.0.world().passed = None;
        script.polls(process, 1);
        passed += usize::from(script.0.world().passed == Some((process, step)));
        if passed == times {
            break;
        }
    }
    script.crash();
    passed == times
}

/// Whenever the process ends, none of the references is left out for ever.
#[test]
fn c15_a_crash_while_a_ring_is_made_again_loses_no_reference() {
    for home in [Home::Source, Home::Target, Home::Third] {
        for step in ["fold.recorded", "apply.written", "apply.committed", "apply.absorbed", "apply.recorded", "finish.recorded"] {
            for times in 1.. {
                let (mut script, ring) = dissolved(home, false);
                let ended = ends_at(&mut script, step, times);
                script.0.calm();
                assert!(is_ring(&script, T, ring), "{home:?} {step} {times} {:?}", script.rows(T));
                assert_eq!(script.reasons(), [0; 0], "{home:?} {step} {times}");
                script.ends_well();
                if !ended {
                    break;
                }
            }
        }
    }
}
