//! Scripts about the brake, and tables that are emptied.

use twinrow::model::Value;

use crate::database::X;
use crate::options::{OnDelete, Options, Shape};
use crate::scripts::{S, Script, T, TABLE, quiet};

#[test]
fn rule15_the_brake_holds_until_the_set_is_approved() {
    let mut script = Script::new(Options { brake: true, ..quiet() });
    let twins: Vec<[i64; 2]> = (0..5).map(|_| script.twins()).collect();
    for [s, _] in &twins[..3] {
        script.delete(S, *s);
    }
    script.sync();
    assert_eq!(script.rows(T).len(), 5, "three of five at once wait for a person");
    script.ends_well();
}

/// Five pairs; three are lost in the source, and their twins can't go without rows that a user has given them meanwhile.
fn approved_and_held() -> (Script, Vec<[i64; 2]>) {
    let on_delete = [OnDelete::Restrict, OnDelete::Cascade];
    let mut script = Script::new(Options { brake: true, shape: Shape::Family, on_delete, ..quiet() });
    let twins: Vec<[i64; 2]> = (0..5).map(|_| script.twins()).collect();
    for [s, t] in &twins[..3] {
        script.delete(S, *s);
        script.user(T, |statement, world| {
            let (key, of, number) = (world.databases[T].new_key(1), world.id() as i64, world.id() as i64);
            statement.add_under(world, 1, (key, Value::Int(i128::from(*t))), of, number);
        });
    }
    script.sync();
    assert_eq!(script.brakes(), [3], "three of five at once wait for a person");
    assert!(script.0.approve());
    script.later();
    assert_eq!((script.brakes(), script.rows(T).len()), (vec![], 5), "approved, and held because of the rows that would go too");
    (script, twins)
}

#[test]
fn rule15_what_was_approved_stays_so_while_a_cascade_holds_it() {
    let (mut script, twins) = approved_and_held();
    for _ in 0..5 {
        script.later();
        assert!(!script.0.approve(), "a person is asked again about what they approved");
    }
    for [_, t] in &twins[..3] {
        script.empty_family(*t);
    }
    script.later();
    assert_eq!((script.brakes(), script.rows(T).len()), (vec![], 2), "gone, without being asked for again");
    script.ends_well();
}

#[test]
fn rule15_what_was_approved_goes_though_the_brake_holds_others() {
    let (mut script, twins) = approved_and_held();
    for [s, _] in &twins[3..] {
        script.delete(S, *s);
    }
    script.insert(S);
    script.later();
    assert_eq!(script.brakes(), [2], "only what is new waits for a person");
    script.empty_family(twins[0][1]);
    script.later();
    let left: Vec<bool> = twins.iter().map(|[_, t]| script.has(T, *t)).collect();
    assert_eq!(left, [false, true, true, true, true], "nobody has approved that the last two go");
    script.ends_well();
}

#[test]
fn rule15_an_approval_ends_with_the_row_it_was_given_for() {
    let (mut script, twins) = approved_and_held();
    for [_, t] in &twins[..3] {
        script.update(T, *t, X);
        script.empty_family(*t);
    }
    for _ in 0..2 {
        script.later();
        assert_eq!((script.brakes(), script.rows(T).len()), (vec![3], 5), "nobody has approved that these rows go");
    }
    script.ends_well();
}

#[test]
fn rule15_an_approval_survives_a_crash_while_it_is_written_down() {
    let (mut script, twins) = approved_and_held();
    script.delete(S, twins[3][0]);
    script.delete(S, twins[4][0]);
    script.sync();
    assert_eq!(script.brakes(), [2]);
    assert!(script.0.approve());
    script.start_until("brake.approved");
    script.crash();
    script.later();
    assert!(!script.0.approve(), "a person is asked again about what they approved");
    assert_eq!(twins[3..].iter().filter(|[_, t]| script.has(T, *t)).count(), 0, "both may go");
    script.ends_well();
}

/// Five pairs; three of them are lost, and others are under their keys.
fn keys_used_again(script: &mut Script, lose: impl Fn(&mut Script, &[[i64; 2]])) -> Vec<Vec<i64>> {
    let twins: Vec<[i64; 2]> = (0..5).map(|_| script.twins()).collect();
    let before = script.rows(T);
    lose(script, &twins);
    for [s, _] in &twins[..3] {
        script.insert_as(S, *s, None);
    }
    before
}

#[test]
fn rule15_a_brake_is_not_lifted_because_the_keys_are_used_again() {
    let mut script = Script::new(Options { brake: true, reuse: [true, false], ..quiet() });
    let before = keys_used_again(&mut script, |script, twins| twins[..3].iter().for_each(|[s, _]| script.delete(S, *s)));
    for _ in 0..3 {
        script.sync();
        assert!(before.iter().all(|row| script.rows(T).contains(row)), "three of five at once wait for a person");
    }
    script.ends_well();
}

#[test]
fn a12_an_emptied_table_with_others_under_its_keys_is_under_the_brake() {
    let mut script = Script::new(Options { brake: true, reuse: [true, false], ..quiet() });
    let before = keys_used_again(&mut script, |script, _| script.user(S, |statement, world| statement.truncate(world, TABLE)));
    for _ in 0..3 {
        script.sync();
        assert!(before.iter().all(|row| script.rows(T).contains(row)), "five of five at once wait for a person");
    }
    script.ends_well();
}

#[test]
fn a27_both_sides_are_emptied_one_after_the_other() {
    let mut script = Script::new(Options { brake: true, ..quiet() });
    for _ in 0..3 {
        script.twins();
    }
    script.user(S, |statement, world| statement.truncate(world, TABLE));
    script.sync();
    assert_eq!(script.rows(T).len(), 3, "the brake holds");
    script.user(T, |statement, world| statement.truncate(world, TABLE));
    script.ends_well();
}
