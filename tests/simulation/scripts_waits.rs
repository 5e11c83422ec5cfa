//! Scripts about records that wait for others: parents whose delete waits for the children it would take along.

use twinrow::model::{ConflictPolicy, Value};

use crate::database::{PARENT, X, entity};
use crate::options::{OnDelete, Options, Shape};
use crate::scripts::{S, Script, T, quiet};

const CHILDREN: usize = 1;
const HELD: i64 = 2;

/// A parent that was deleted in the source, and is held for a child that was added in the target meanwhile; the keys of
/// both there.
fn held_for_a_child() -> (Script, [i64; 2]) {
    held_for_a_child_with(quiet())
}

fn held_for_a_child_with(options: Options) -> (Script, [i64; 2]) {
    let on_delete = [OnDelete::Restrict, OnDelete::Cascade];
    let mut script = Script::new(Options { shape: Shape::Family, on_delete, matching: true, ..options });
    let [s, t] = script.twins();
    script.delete(S, s);
    let child = child_of(&mut script, t);
    script.sync();
    assert!(script.reasons().contains(&HELD), "{:?}", script.reasons());
    assert!(script.has(T, t), "the child would go with it");
    (script, [t, child])
}

fn child_of(script: &mut Script, parent: i64) -> i64 {
    script.user(T, |statement, world| {
        let (key, of, number) = (world.databases[T].new_key(CHILDREN), world.id() as i64, world.id() as i64);
        statement.add_under(world, CHILDREN, (key, Value::Int(i128::from(parent))), of, number);
        key
    })
}

/// Without waiting for a while.
fn goes_at_once(mut script: Script, parent: i64) {
    script.sync();
    assert!(!script.has(T, parent), "nothing refers to it any more: {:?}", script.reasons());
    assert_eq!(script.reasons(), [0; 0]);
    script.ends_well();
}

#[test]
fn rule18_a_delete_goes_on_when_the_child_is_deleted() {
    let (mut script, [parent, _]) = held_for_a_child();
    script.empty_family(parent);
    goes_at_once(script, parent);
}

#[test]
fn rule18_a_delete_goes_on_when_the_child_gets_another_parent() {
    let (mut script, [parent, child]) = held_for_a_child();
    let other = script.insert(T);
    script.user(T, |statement, world| statement.refer_to(world, CHILDREN, child, other));
    goes_at_once(script, parent);
}

#[test]
fn rule18_a_delete_goes_on_when_the_child_gets_another_key_and_is_deleted() {
    let (mut script, [parent, child]) = held_for_a_child();
    script.user(T, |statement, world| {
        let before = world.databases[T].tables[CHILDREN].rows[&child].clone();
        let number = world.id() as i64;
        statement.give_key(world, CHILDREN, child, &before, child + 7, number);
    });
    script.sync();
    assert_eq!(script.reasons().len(), 2, "nothing waits under the key that is gone");
    script.empty_family(parent);
    goes_at_once(script, parent);
}

#[test]
fn rule18_a_delete_still_waits_for_the_children_that_are_left() {
    let (mut script, [parent, child]) = held_for_a_child();
    child_of(&mut script, parent);
    script.sync();
    script.user(T, |statement, world| {
        let before = world.databases[T].tables[CHILDREN].rows[&child].clone();
        assert_eq!(before[PARENT], Value::Int(i128::from(parent)));
        statement.delete(world, CHILDREN, child, &before);
    });
    script.sync();
    assert!(script.has(T, parent), "the other child would go with it");
    script.empty_family(parent);
    goes_at_once(script, parent);
}

#[test]
fn rule18_who_waits_for_a_held_one_on_both_sides_does_not_release_itself() {
    let (mut script, [parent, _]) = held_for_a_child_with(Options { conflict: ConflictPolicy::Merge, ..quiet() });
    let [_, other] = script.twins();
    let child = child_of(&mut script, other);
    script.sync();
    script.user(T, |statement, world| statement.refer_to(world, CHILDREN, child, parent));
    script.sync();
    script.user(S, |statement, world| {
        let of = entity(&world.databases[T].tables[CHILDREN].rows[&child]);
        let rows = &world.databases[S].tables[CHILDREN].rows;
        let (twin, before) = rows.iter().find(|(_, row)| entity(row) == of).map(|(key, row)| (*key, row.clone())).unwrap();
        let number = world.id() as i64;
        statement.set(world, CHILDREN, twin, &before, X, number);
    });
    // Its entries of both sides are met one after the other.
    script.0.world().batch = 1;
    script.sync();
    assert!(script.has(T, parent), "others refer to it");
    script.user(T, |statement, world| statement.refer_to(world, CHILDREN, child, other));
    script.empty_family(parent);
    goes_at_once(script, parent);
}
