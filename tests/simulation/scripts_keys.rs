//! Scripts about keys that are given out again, change, or are exchanged.

use twinrow::model::{ConflictPolicy, Deletes, Value};

use crate::database::{X, Y};
use crate::options::{Options, Shape};
use crate::scripts::{S, Script, T, TABLE, add, quiet, set};
use crate::world::Trouble;

#[test]
fn rule2_a_key_the_unread_log_gave_to_another_record() {
    let mut script = Script::new(Options { limit: 1, reuse: [false, true], ..quiet() });
    let [_, t] = script.twins();
    script.update(T, t, X);
    script.delete(T, t);
    script.insert_as(T, t, None);
    script.ends_well();
}

#[test]
fn rule2_a_retry_asks_the_unread_log_too() {
    let mut script = Script::new(Options { limit: 1, reuse: [true, false], ..quiet() });
    let [s, t] = script.twins();
    let [other, _] = script.twins();
    script.open(T, |statement, world| set(statement, world, T, t, Y));
    script.update(S, s, X);
    script.sync();
    script.end(T, true);
    script.update(S, other, X);
    script.update(S, other, Y);
    script.delete(S, s);
    script.insert_as(S, s, None);
    script.ends_well();
}

#[test]
fn rule3_a_key_this_cycle_changed_is_not_looked_up_in_older_rows() {
    let mut script = Script::new(Options { copy: true, ..quiet() });
    let [s, t] = script.twins();
    script.rename(T, t, t + 5_000);
    let process = script.start_until("apply.begun");
    script.update(S, s, X);
    // Busy under the key that the source's row, which wins, does not have.
    script.polls(process, 600);
    script.crash();
    script.ends_well();
}

#[test]
fn rule6_entries_that_are_read_again_say_nothing_of_a_later_holder() {
    let mut script = Script::new(Options { reuse: [false, true], ..quiet() });
    let [_, t] = script.twins();
    script.delete(T, t);
    script.insert(S);
    // The new record has the key; then the same entries once more.
    script.start_until("apply.absorbed");
    let again = script.0.started;
    script.until(again, "finish.recorded");
    script.crash();
    script.ends_well();
}

#[test]
fn rule8_a_key_that_is_used_again_inherits_nothing() {
    let mut script = Script::new(Options { reuse: [true, false], deletes: Deletes::Keep, ..quiet() });
    let [s, _] = script.twins();
    script.delete(S, s);
    script.sync();
    script.insert_as(S, s, None);
    script.ends_well();
}

#[test]
fn c4_a_copied_key_that_is_used_again_inherits_nothing() {
    let mut script = Script::new(Options { copy: true, reuse: [true, false], deletes: Deletes::Keep, ..quiet() });
    let [s, _] = script.twins();
    let before = script.rows(T);
    script.delete(S, s);
    script.sync();
    script.insert_as(S, s, None);
    script.sync();
    assert_eq!(script.rows(T), before, "the survivor stays what it was");
    assert_eq!(script.reasons(), [2], "the new one is held");
    // A person makes room.
    script.delete(T, s);
    script.ends_well();
}

#[test]
fn c4_a_copied_key_comes_back_with_its_record() {
    let mut script = Script::new(Options { copy: true, reuse: [true, false], deletes: Deletes::Keep, ..quiet() });
    let [s, _] = script.twins();
    let row = script.0.world().databases[S].tables[TABLE].rows[&s].clone();
    script.delete(S, s);
    script.sync();
    script.user(S, |statement, world| statement.put_back(world, TABLE, s, row));
    script.sync();
    assert_eq!(script.reasons(), [0; 0], "nothing is held");
    script.update(S, s, X);
    script.ends_well();
}

#[test]
fn c4_a_copied_key_waits_until_the_delete_has_travelled() {
    let mut script = Script::new(Options { copy: true, reuse: [true, false], ..quiet() });
    let [s, _] = script.twins();
    script.delete(S, s);
    script.insert_as(S, s, None);
    let of = script.entity(S, s);
    script.sync();
    assert_eq!(script.key(T, of), Some(s), "without waiting for a person");
    script.ends_well();
}

#[test]
fn rule22_records_that_exchange_their_copied_keys() {
    let mut script = Script::new(Options { copy: true, ..quiet() });
    let [one, _] = script.twins();
    let [two, _] = script.twins();
    let of = script.entity(S, one);
    script.user(S, |statement, world| statement.swap(world, TABLE, one, two));
    script.sync();
    assert_eq!(script.key(T, of), Some(two));
    script.ends_well();
}

/// The write is committed, and only its receipts know.
#[test]
fn rule10_receipts_of_exchanged_keys() {
    let mut script = Script::new(Options { copy: true, ..quiet() });
    let [one, _] = script.twins();
    let [two, _] = script.twins();
    script.user(S, |statement, world| statement.swap(world, TABLE, one, two));
    script.start_until("apply.committed");
    script.crash();
    script.ends_well();
}

#[test]
fn rule9_an_entry_is_not_void_because_a_newer_one_names_its_key() {
    let mut script = Script::new(Options { reuse: [true, false], ..quiet() });
    let [s, t] = script.twins();
    let of = script.entity(S, s);
    script.rename(S, s, s + 5);
    script.insert_as(S, s, None);
    script.sync();
    assert_eq!(script.key(T, of), Some(t), "the rename says whose twin it is");
    script.delete(S, s);
    script.insert_as(S, s, None);
    script.ends_well();
}

#[test]
fn c3_a_kept_survivor_is_not_decided_with_the_next_holder_of_its_key() {
    let mut script = Script::new(Options { reuse: [true, false], deletes: Deletes::Keep, ..quiet() });
    let [s, t] = script.twins();
    script.delete(S, s);
    script.sync();
    script.0.world().options.deletes = Deletes::Delete;
    script.insert_as(S, s, None);
    script.trouble(T, Trouble::Aborted);
    script.sync();
    assert!(script.0.world().databases[T].tables[TABLE].rows.contains_key(&t), "it was kept, and nothing has been lost since");
}

#[test]
fn rule2_a_lost_record_that_the_unread_log_puts_back_is_not_decided() {
    for matching in [true, false] {
        let mut script = Script::new(Options { limit: 1, matching, reuse: [true, false], ..quiet() });
        let [s, t] = script.twins();
        let of = script.entity(S, s);
        let row = script.0.world().databases[S].tables[TABLE].rows[&s].clone();
        script.delete(S, s);
        match matching {
            // With other values than before.
            true => script.insert_as(S, s, Some(of)),
            false => script.user(S, |statement, world| statement.put_back(world, TABLE, s, row)),
        }
        script.sync();
        assert_eq!(script.key(T, of), Some(t), "its twin is the one it was");
    }
}

#[test]
fn step7_a_key_given_out_again_proves_no_delete() {
    let mut script = Script::new(Options { reuse: [false, true], ..quiet() });
    let of = {
        let t = script.0.world().databases[T].new_key(TABLE) + 6;
        script.insert_as(T, t, None);
        script.sync();
        t
    };
    script.insert(S);
    let process = script.start_until("apply.begun");
    // The next key is the one this record has until now.
    script.rename(T, of, of - 1);
    script.polls(process, 600);
    script.ends_well();
}

#[test]
fn c4_an_emptied_table_is_filled_with_other_records() {
    let mut script = Script::new(Options { reuse: [true, true], ..quiet() });
    let [_, t] = script.twins();
    script.user(T, |statement, world| statement.truncate(world, TABLE));
    script.insert_as(T, t, None);
    script.ends_well();
}

#[test]
fn c4_a_new_record_is_given_a_key_of_an_emptied_table() {
    let mut script = Script::new(Options { reuse: [true, true], ..quiet() });
    let [_, t] = script.twins();
    script.user(T, |statement, world| statement.truncate(world, TABLE));
    script.insert_as(T, t + 1, None);
    script.rename(T, t + 1, t);
    script.ends_well();
}

#[test]
fn c4_what_was_inserted_before_a_table_was_emptied_says_nothing_of_who_has_its_key() {
    let mut script = Script::new(Options { limit: 2, deletes: Deletes::Keep, reuse: [true, true], ..quiet() });
    let s = script.insert(S);
    script.user(S, |statement, world| statement.truncate(world, TABLE));
    // This entry is read after the others, and by then its record has changed.
    script.insert_as(S, s, None);
    script.0.start(false);
    script.0.cycles(1);
    script.update(S, s, X);
    script.crash();
    script.sync();
    script.later();
    assert_eq!(script.rows(T).len(), 1, "{:?}", script.reasons());
    script.ends_well();
}

#[test]
fn c3_a_pair_that_lost_its_record_is_decided() {
    let mut script = Script::new(Options { reuse: [true, false], ..quiet() });
    let [s, t] = script.twins();
    script.open(T, |statement, world| set(statement, world, T, t, Y));
    script.delete(S, s);
    script.sync();
    // Its key belongs to another record before its delete could travel.
    script.insert_as(S, s, None);
    script.sync();
    script.end(T, true);
    script.ends_well();
}

#[test]
fn rule2_a_parents_key_the_unread_log_gave_to_another_record() {
    let mut script = Script::new(Options { shape: Shape::Family, limit: 1, reuse: [true, false], ..quiet() });
    let [s, t] = script.twins();
    let [other, _] = script.twins();
    script.update(S, other, X);
    script.update(S, other, Y);
    script.delete(S, s);
    script.insert_as(S, s, None);
    script.user(T, |statement, world| {
        let (key, of, number) = (world.databases[T].new_key(1), world.id() as i64, world.id() as i64);
        statement.add_under(world, 1, (key, Value::Int(i128::from(t))), of, number);
    });
    // The child is read before the log has said that its parent is gone.
    script.ends_well();
}

/// As above, on the side that is not written: nobody looks at its log again before the write.
#[test]
fn rule2_a_parents_key_its_own_side_gave_to_another_record() {
    let mut script = Script::new(Options { shape: Shape::Family, limit: 1, reuse: [true, false], ..quiet() });
    let [[s, _], [other, _]] = [script.twins(), script.twins()];
    let child = child_in_the_source(&mut script, other);
    script.delete(S, s);
    script.insert_as(S, s, None);
    // The child's first entry is read before all this.
    script.user(S, |statement, world| statement.refer_to(world, 1, child, s));
    script.ends_well();
}

/// A child of a record of the source.
fn child_in_the_source(script: &mut Script, parent: i64) -> i64 {
    script.user(S, |statement, world| {
        let (key, of, number) = (world.databases[S].new_key(1), world.id() as i64, world.id() as i64);
        statement.add_under(world, 1, (key, Value::Int(i128::from(parent))), of, number);
        key
    })
}

#[test]
fn rule3_a_parents_key_given_to_another_record_before_the_write() {
    let mut script = Script::new(Options { shape: Shape::Family, reuse: [false, true], ..quiet() });
    let [s, t] = script.twins();
    child_in_the_source(&mut script, s);
    let process = script.start_until("apply.begun");
    // Nothing refers to it there yet.
    script.delete(T, t);
    script.insert_as(T, t, None);
    script.polls(process, 600);
    script.crash();
    script.ends_well();
}

#[test]
fn rule3_a_new_parents_key_given_to_another_record_before_the_write() {
    let mut script = Script::new(Options { shape: Shape::Family, reuse: [false, true], ..quiet() });
    let [[s, _], [other, t]] = [script.twins(), script.twins()];
    let child = child_in_the_source(&mut script, s);
    script.sync();
    script.user(S, |statement, world| statement.refer_to(world, 1, child, other));
    let process = script.start_until("apply.begun");
    script.delete(T, t);
    script.insert_as(T, t, None);
    script.polls(process, 600);
    script.crash();
    script.ends_well();
}

/// A record of the target is deleted while a batch is written that makes its twin, and another record gets its key there.
#[test]
fn c4_a_key_of_the_same_batch_that_is_given_out_again_meanwhile() {
    let mut script = Script::new(Options { reuse: [false, true], ..quiet() });
    let t = script.insert(T);
    script.insert(S);
    let process = script.start_until("apply.begun");
    script.delete(T, t);
    script.polls(process, 600);
    script.crash();
    script.ends_well();
}

/// The same, where its twin was there, has just been found, and is about to get its values.
#[test]
fn c4_a_key_of_a_twin_just_found_that_is_given_out_again_meanwhile() {
    let mut script = Script::new(Options { matching: true, conflict: ConflictPolicy::Target, reuse: [false, true], ..quiet() });
    let t = script.insert(T);
    let of = script.entity(T, t);
    script.user(S, |statement, world| {
        let key = world.databases[S].new_key(TABLE);
        add(statement, world, key, of);
    });
    script.insert(S);
    let process = script.start_until("apply.begun");
    script.delete(T, t);
    script.polls(process, 600);
    script.crash();
    script.ends_well();
}
