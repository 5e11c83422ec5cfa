//! Scripts about what is read, decided and remembered.

use twinrow::model::{ConflictPolicy, Deletes};
use twinrow::pipeline::BATCH;

use crate::database::{ENTITY, X, Y};
use crate::options::{Options, Rounding};
use crate::scripts::{S, Script, T, TABLE, add, quiet, set};

#[test]
fn rule1_a_record_whose_twin_was_locked_comes_again() {
    let mut script = Script::new(quiet());
    let [s, t] = script.twins();
    script.open(T, |statement, world| set(statement, world, T, t, Y));
    script.update(S, s, X);
    script.sync();
    script.end(T, true);
    script.ends_well();
}

/// It was put off until a time by a clock that was a year ahead.
#[test]
fn rule1_what_a_clock_that_was_ahead_put_off_is_due_when_it_is_right() {
    const YEAR: i64 = 31_536_000;
    for same_process in [false, true] {
        let mut script = Script::new(quiet());
        let [s, t] = script.twins();
        script.set_clock(YEAR);
        script.open(T, |statement, world| set(statement, world, T, t, Y));
        script.update(S, s, X);
        script.0.start(false);
        script.0.cycles(6);
        assert_eq!(script.reasons(), [0], "it is busy");
        if !same_process {
            script.crash();
        }
        script.end(T, true);
        script.set_clock(-YEAR);
        if !same_process {
            script.0.start(false);
        }
        script.0.cycles(6);
        assert_eq!(script.reasons(), [0; 0], "nothing is in its way any more");
        script.crash();
        script.ends_well();
    }
}

#[test]
fn rule1_the_cursor_waits_for_the_work() {
    let mut script = Script::new(quiet());
    script.insert(S);
    script.start_until("apply.begun");
    script.crash();
    script.ends_well();
}

#[test]
fn rule1_logs_are_acknowledged_last() {
    let mut script = Script::new(quiet());
    script.insert(S);
    script.start_until("acknowledge.done");
    script.crash();
    script.ends_well();
}

#[test]
fn rule2_an_absent_row_is_not_a_deleted_one() {
    let mut script = Script::new(Options { limit: 1, ..quiet() });
    let [_, t] = script.twins();
    script.update(T, t, X);
    script.rename(T, t, t + 5);
    script.ends_well();
}

#[test]
fn rule2_a_compare_infers_nothing_while_the_log_is_unread() {
    let mut script = Script::new(Options { limit: 1, ..quiet() });
    let [_, t] = script.twins();
    let [_, other] = script.twins();
    for _ in 0..8 {
        script.update(T, other, X);
    }
    script.rename(T, t, t + 5);
    script.0.start(true);
    script.0.cycles(6);
    script.crash();
    script.ends_well();
}

#[test]
fn rule3_what_this_cycle_wrote_is_not_compared_with_older_rows() {
    let mut script = Script::new(quiet());
    let [s, t] = script.twins();
    script.update(S, s, X);
    // So many keys that came and went that the two sides' entries are decided in two batches.
    script.user(S, |statement, world| {
        for n in 0..BATCH as i64 {
            let (key, entity) = (5_000 + n, world.id() as i64);
            add(statement, world, key, entity);
            let before = statement.last().expect("just inserted");
            statement.delete(world, TABLE, key, &before);
        }
    });
    script.update(T, t, X);
    script.ends_well();
}

#[test]
fn rule5_a_base_advances_only_for_what_was_written() {
    let mut script = Script::new(Options { conflict: ConflictPolicy::Merge, ..quiet() });
    let [s, t] = script.twins();
    script.update(S, s, X);
    script.update(T, t, Y);
    // The target has the source's field now, the source not yet the target's.
    script.start_until("apply.absorbed");
    script.crash();
    script.ends_well();
}

#[test]
fn rule5_the_base_is_what_the_database_made_of_it() {
    let mut script = Script::new(Options { rounding: Rounding::Silent, ..quiet() });
    let twins: Vec<[i64; 2]> = (0..4).map(|_| script.twins()).collect();
    for [_, t] in twins {
        script.update(T, t, X);
    }
    script.ends_well();
}

#[test]
fn c12_records_that_exchange_a_unique_value() {
    let mut script = Script::new(Options { swaps: true, ..quiet() });
    let [[one, _], [two, _]] = [script.twins(), script.twins()];
    let of = [one, two].map(|key| script.entity(S, key));
    script.user(S, |statement, world| statement.exchange(world, TABLE, [one, two], X));
    script.sync();
    let values = |at| of.map(|of| script.rows(at).into_iter().find(|row| row[ENTITY] == of).map(|row| row[X]));
    assert_eq!(values(S), values(T), "{:?}", script.reasons());
    script.ends_well();
}

/// More records than are decided together, each of which gets the next one's value.
#[test]
fn c12_a_ring_over_several_batches() {
    let mut script = Script::new(Options { swaps: true, ..quiet() });
    script.0.world().batch = 3;
    let keys: Vec<i64> = (0..7).map(|_| script.twins()[S]).collect();
    let ring: Vec<[i64; 2]> = keys.windows(2).map(|two| [two[0], two[1]]).collect();
    script.user(S, |statement, world| ring.iter().for_each(|two| statement.exchange(world, TABLE, *two, X)));
    let twins: Vec<i64> = keys.iter().map(|key| script.entity(S, *key)).collect();
    script.sync();
    let values = |at| {
        let rows = script.rows(at);
        twins.iter().map(|of| rows.iter().find(|row| row[ENTITY] == *of).map(|row| row[X])).collect::<Vec<_>>()
    };
    assert_eq!(values(S), values(T), "{:?}", script.reasons());
    assert!(script.reasons().is_empty());
    script.ends_well();
}

/// One of three is refused for a value that a survivor has: the two that exchange theirs do not wait for it (I7).
#[test]
fn i7_an_exchange_goes_on_beside_who_is_refused() {
    let mut script = Script::new(Options { swaps: true, deletes: Deletes::Keep, ..quiet() });
    let [[one, _], [two, _], [three, _], [four, _]] = std::array::from_fn(|_| script.twins());
    let of = [one, two].map(|key| script.entity(S, key));
    let taken = script.0.world().databases[S].tables[TABLE].rows[&four][X].clone();
    script.delete(S, four);
    script.sync();
    script.user(S, |statement, world| {
        statement.exchange(world, TABLE, [one, two], X);
        let before = world.databases[S].tables[TABLE].rows[&three].clone();
        statement.give(world, TABLE, three, &before, (X, taken));
    });
    script.sync();
    let values = |at| of.map(|of| script.rows(at).into_iter().find(|row| row[ENTITY] == of).map(|row| row[X]));
    assert_eq!(values(S), values(T), "{:?}", script.reasons());
    assert_eq!(script.reasons().len(), 1);
    script.ends_well();
}

#[test]
fn a_script_would_notice_a_doubled_record() {
    let mut script = Script::new(quiet());
    let [s, _] = script.twins();
    let of = script.entity(S, s);
    script.insert_as(S, s + 1, Some(of));
    script.sync();
    let world = script.0.world();
    assert!(world.verdict().iter().any(|wrong| wrong.starts_with("doubled")), "e{of}, field {ENTITY}");
}
