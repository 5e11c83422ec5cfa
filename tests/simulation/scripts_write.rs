//! Scripts about writes: what happens before, within and after one.

use twinrow::model::{Blanks, Value};

use crate::database::{PARENT, X, Y};
use crate::options::{Home, Options, Shape};
use crate::restore::Restored;
use crate::scripts::{S, Script, T, TABLE, add, quiet, set};
use crate::world::Trouble;

/// So many writes are begun before records that refer to each other are gone: both at once, once more as the ring they are, and
/// both with their references emptied.
const RING_WRITES: usize = 3;

#[test]
fn rule4_a_take_over_waits_for_a_write_before_it_reads_receipts() {
    let mut script = Script::new(quiet());
    script.insert(S);
    let old = script.start_until("apply.recorded");
    script.0.start(false);
    let new = script.0.started;
    script.polls(new, 300);
    script.polls(old, 300);
    script.polls(new, 300);
    script.ends_well();
}

#[test]
fn rule10_a_write_nobody_heard_of_is_known_by_its_receipt() {
    let mut script = Script::new(quiet());
    script.insert(S);
    script.start_until("apply.committed");
    script.crash();
    script.ends_well();
}

#[test]
fn rule10_nothing_is_decided_while_a_receipt_is_not_absorbed() {
    let mut script = Script::new(quiet());
    script.insert(S);
    let process = script.start_until("apply.committed");
    script.trouble(2, Trouble::Aborted);
    script.polls(process, 600);
    script.ends_well();
}

#[test]
fn rule10_a_lost_answer_to_commit_is_no_refusal() {
    let mut script = Script::new(quiet());
    script.insert(S);
    let process = script.start_until("apply.recorded");
    script.trouble(T, Trouble::AnswerLost);
    script.polls(process, 600);
    script.ends_well();
}

/// Two records that refer to each other, and are deleted in the source; their keys.
fn ring_that_goes() -> (Script, [[i64; 2]; 2]) {
    let mut script = Script::new(Options { shape: Shape::Circle, ..quiet() });
    let keys = [script.twins(), script.twins()];
    for [one, other] in [[0, 1], [1, 0]].map(|pair| pair.map(|at: usize| keys[at][S])) {
        script.user(S, |statement, world| {
            let before = world.databases[S].tables[TABLE].rows[&one].clone();
            statement.refer(world, TABLE, one, &before, Some(other));
        });
    }
    script.sync();
    let referred: Vec<i64> = script.rows(T).iter().map(|row| row[PARENT]).collect();
    assert_eq!(referred, [keys[1][T], keys[0][T]], "a ring there too");
    script.user(S, |statement, world| {
        let mut rows = keys.map(|[key, _]| world.databases[S].tables[TABLE].rows[&key].clone());
        statement.refer(world, TABLE, keys[0][S], &rows[0], None);
        rows[0][PARENT] = Value::Null;
        for at in [1, 0] {
            statement.delete(world, TABLE, keys[at][S], &rows[at]);
        }
    });
    (script, keys)
}

#[test]
fn c15_a_ring_goes_whole_whenever_the_process_ends() {
    for step in ["apply.begun", "apply.written", "apply.recorded", "apply.committed", "apply.absorbed"] {
        let (mut script, _) = ring_that_goes();
        script.start_until(step);
        script.crash();
        script.0.calm();
        assert_eq!(script.rows(T), Vec::<Vec<i64>>::new(), "{step}");
        assert_eq!(script.reasons(), Vec::<i64>::new(), "nothing is left to be done");
        script.ends_well();
    }
}

#[test]
fn c15_a_ring_of_which_one_changes_meanwhile_is_decided_again() {
    // Whichever write it is, of one of them or of both.
    for nth in 1..=RING_WRITES {
        let (mut script, keys) = ring_that_goes();
        let process = script.start_until("apply.begun");
        (1..nth).for_each(|_| script.until(process, "apply.begun"));
        script.update(T, keys[0][T], X);
        script.polls(process, 600);
        script.ends_well();
    }
}

#[test]
fn rule11_a_loser_is_written_down_before_it_is_overwritten() {
    let mut script = Script::new(quiet());
    let [s, t] = script.twins();
    script.update(S, s, X);
    script.update(T, t, X);
    script.start_until("apply.committed");
    script.crash();
    script.ends_well();
}

#[test]
fn rule12_a_changed_survivor_is_kept_before_it_is_deleted() {
    let mut script = Script::new(quiet());
    let [s, t] = script.twins();
    script.update(T, t, X);
    script.delete(S, s);
    script.ends_well();
}

#[test]
fn rule13_a_match_that_appears_before_the_create() {
    let mut script = Script::new(Options { matching: true, ..quiet() });
    let s = script.insert(S);
    let of = script.entity(S, s);
    let process = script.start_until("apply.begun");
    let t = script.0.world().databases[T].new_key(TABLE);
    script.insert_as(T, t, Some(of));
    script.polls(process, 600);
    script.ends_well();
}

#[test]
fn rule13_several_matches_are_held_for_a_person() {
    let mut script = Script::new(Options { matching: true, ..quiet() });
    let s = script.insert(S);
    let of = script.entity(S, s);
    for _ in 0..2 {
        let t = script.0.world().databases[T].new_key(TABLE);
        script.insert_as(T, t, Some(of));
    }
    let before = [script.rows(S), script.rows(T)];
    script.sync();
    assert_eq!([script.rows(S), script.rows(T)], before, "nobody chose");
    assert_eq!(script.reasons(), [2, 2, 2], "all three are held");
}

#[test]
fn i7_what_somebody_has_locked_stops_only_itself() {
    let mut script = Script::new(Options { unique: true, matching: true, ..quiet() });
    let sources: Vec<i64> = (0..5).map(|_| script.insert(S)).collect();
    let of = script.entity(S, sources[3]);
    script.open(T, |statement, world| {
        let key = world.databases[T].new_key(TABLE);
        add(statement, world, key, of);
    });
    script.sync();
    assert_eq!(script.rows(T).len(), 4, "only one of them is in doubt");
    script.end(T, true);
    script.ends_well();
}

#[test]
fn step7_a_row_that_changed_after_it_was_read_is_not_overwritten() {
    let mut script = Script::new(quiet());
    let [s, t] = script.twins();
    script.update(S, s, X);
    let process = script.start_until("apply.begun");
    script.update(T, t, X);
    script.polls(process, 600);
    script.ends_well();
}

#[test]
fn b1_what_a_trigger_does_in_our_transaction_is_no_echo() {
    let mut script = Script::new(Options { trigger: true, ..quiet() });
    script.twins();
    let [s, _] = script.twins();
    script.update(S, s, Y);
    script.ends_well();
}

#[test]
fn s0_2_what_a_blank_did_not_clear_is_kept_before_it_is_overwritten() {
    let mut script = Script::new(Options { blanks: Blanks::Keep, ..quiet() });
    let [s, t] = script.twins();
    script.update(T, t, X);
    script.user(S, |statement, world| {
        world.options.blank = 1.0;
        set(statement, world, S, s, X);
        world.options.blank = 0.0;
    });
    script.sync();
    assert_eq!(script.rows(S)[0][X], 0, "the source has none, the target its own");
    script.update(S, s, X);
    script.ends_well();
}

/// The source falls back to how it was before `act`: a standby takes over that has not got that yet.
fn fail_over(script: &mut Script, act: impl FnOnce(&mut Script)) {
    let before = script.0.world().databases[S].clone();
    act(script);
    script.crash();
    let mut world = script.0.world();
    world.databases[S] = before;
    world.restored = Some(Restored::of(&world));
}

fn is_refused(mut script: Script) {
    script.0.start(false);
    script.0.cycles(1);
    assert!(script.0.failed.is_empty(), "{:?}", script.0.failed);
    assert!(script.0.world().is_refused(0), "it goes on with a database that has lost something");
}

#[test]
fn rule17_a_write_that_is_lost_with_its_database_is_noticed() {
    let mut script = Script::new(Options { home: Home::Target, ..quiet() });
    script.twins();
    script.insert(T);
    fail_over(&mut script, |script| {
        script.start_until("apply.absorbed");
    });
    is_refused(script);
}

#[test]
fn rule17_a_change_that_is_lost_after_it_was_carried_is_noticed() {
    let mut script = Script::new(Options { home: Home::Target, ..quiet() });
    script.twins();
    fail_over(&mut script, |script| {
        script.insert(S);
        script.start_until("apply.committed");
    });
    is_refused(script);
}
