//! Scripts about records that are deleted on one side and changed on the other: the conflict's policy says what becomes of
//! them, whenever the two are read.

use twinrow::model::{ConflictPolicy, Deletes, Direction};

use crate::database::X;
use crate::options::Options;
use crate::scripts::{S, Script, T, quiet};

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
