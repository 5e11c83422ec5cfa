//! Scripts about twins that are found: on both sides at once, and again after one of them was lost.

use twinrow::model::ConflictPolicy;

use crate::database::X;
use crate::scripts::{S, Script, T, quiet, set};
use crate::world::Options;

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
