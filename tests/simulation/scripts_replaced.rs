//! Scripts about records that are deleted and put back in one transaction, under the keys they had or under each other's: the
//! match rule says who is who.

use std::collections::BTreeMap;

use twinrow::model::Deletes;

use crate::database::X;
use crate::options::Options;
use crate::scripts::{S, Script, T, TABLE, add, quiet, set};

const HELD: i64 = 2;

/// How the source is emptied.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Emptied {
    Deleted,
    Truncated,
}

/// In one transaction the source is emptied, and filled with these records (key, entity).
fn reload(script: &mut Script, how: Emptied, records: &[(i64, i64)]) {
    script.user(S, |statement, world| {
        let before = world.databases[S].tables[TABLE].rows.clone();
        match how {
            Emptied::Deleted => before.iter().for_each(|(key, row)| statement.delete(world, TABLE, *key, row)),
            Emptied::Truncated => statement.truncate(world, TABLE),
        }
        records.iter().for_each(|(key, of)| add(statement, world, *key, *of));
    });
}

/// Twins of which the source's keys may be given out again: what they are, in the order of their keys, and the
/// target's keys by that.
fn stocked(options: Options) -> (Script, Vec<(i64, i64)>, BTreeMap<i64, i64>) {
    let mut script = Script::new(Options { matching: true, reuse: [true, false], ..options });
    let (mut records, mut twins) = (Vec::new(), BTreeMap::new());
    for _ in 0..4 {
        let [s, t] = script.twins();
        let of = script.entity(S, s);
        records.push((s, of));
        twins.insert(of, t);
    }
    (script, records, twins)
}

/// All but the first, each under the key of the one before.
fn shifted(records: &[(i64, i64)]) -> Vec<(i64, i64)> {
    records.windows(2).map(|two| (two[0].0, two[1].1)).collect()
}

#[test]
fn rule8_a_reload_with_shifted_keys_leaves_each_record_its_twin() {
    for how in [Emptied::Deleted, Emptied::Truncated] {
        for limit in [1, 2, 3, 20_000] {
            for deletes in [Deletes::Delete, Deletes::Keep] {
                let (mut script, records, twins) = stocked(Options { limit, deletes, ..quiet() });
                reload(&mut script, how, &shifted(&records));
                script.sync();
                if limit < records.len() {
                    // So many cycles more does it take until all of it is read.
                    script.sync();
                    script.later();
                }
                let case = format!("{how:?} {limit} {deletes:?}");
                for (_, of) in &records[1..] {
                    assert_eq!(script.key(T, *of), Some(twins[of]), "{case}");
                }
                assert_eq!(script.key(T, records[0].1).is_some(), deletes == Deletes::Keep, "{case}");
                assert!(!script.reasons().contains(&HELD), "nobody is asked: {case}");
                script.ends_well();
            }
        }
    }
}

#[test]
fn rule8_another_record_under_a_key_of_the_same_transaction_is_a_new_one() {
    let (mut script, records, twins) = stocked(quiet());
    let (key, of) = records[0];
    script.user(S, |statement, world| {
        let before = world.databases[S].tables[TABLE].rows[&key].clone();
        statement.delete(world, TABLE, key, &before);
        let other = world.id() as i64;
        add(statement, world, key, other);
    });
    let other = script.entity(S, key);
    script.sync();
    assert!(script.key(T, other).is_some_and(|twin| twin != twins[&of]));
    assert_eq!(script.key(T, of), None, "it was deleted");
    script.ends_well();
}

#[test]
fn a20_records_put_back_by_one_transaction_keep_their_twins() {
    for how in [Emptied::Deleted, Emptied::Truncated] {
        let (mut script, records, twins) = stocked(quiet());
        // With other values than before.
        reload(&mut script, how, &records);
        script.sync();
        let now = records.iter().map(|(_, of)| (*of, script.key(T, *of).unwrap())).collect();
        assert_eq!(twins, now, "{how:?}");
        script.ends_well();
    }
}

#[test]
fn a20_a_record_put_back_and_moved_on_keeps_its_twin() {
    let (mut script, records, twins) = stocked(quiet());
    let (key, of) = records[0];
    script.user(S, |statement, world| {
        let before = world.databases[S].tables[TABLE].rows[&key].clone();
        statement.delete(world, TABLE, key, &before);
        add(statement, world, key, of);
    });
    script.rename(S, key, key + 9);
    script.user(S, |statement, world| set(statement, world, S, key + 9, X));
    script.sync();
    assert_eq!(script.key(T, of), Some(twins[&of]));
    script.ends_well();
}

#[test]
fn rule8_another_record_under_a_key_of_the_same_transaction_that_moves_on_is_a_new_one() {
    for limit in [1, 2, 20_000] {
        let (mut script, records, twins) = stocked(Options { limit, ..quiet() });
        let (key, of) = records[0];
        script.user(S, |statement, world| {
            let before = world.databases[S].tables[TABLE].rows[&key].clone();
            statement.delete(world, TABLE, key, &before);
            let other = world.id() as i64;
            add(statement, world, key, other);
        });
        let other = script.entity(S, key);
        script.rename(S, key, key + 9);
        script.sync();
        assert!(script.key(T, other).is_some_and(|twin| twin != twins[&of]), "{limit}");
        script.ends_well();
    }
}

/// Another record under a key of the same transaction, written again before anybody looked. Its key and what it is.
fn put_back_and_changed(script: &mut Script, key: i64) -> i64 {
    script.user(S, |statement, world| {
        let before = world.databases[S].tables[TABLE].rows[&key].clone();
        statement.delete(world, TABLE, key, &before);
        let other = world.id() as i64;
        add(statement, world, key, other);
    });
    script.update(S, key, X);
    script.entity(S, key)
}

#[test]
fn rule8_what_was_put_back_and_changed_before_anybody_looked_waits_for_a_person() {
    for limit in [1, 2, 20_000] {
        for deletes in [Deletes::Delete, Deletes::Keep] {
            let (mut script, records, twins) = stocked(Options { limit, deletes, ..quiet() });
            let (key, of) = records[0];
            let other = put_back_and_changed(&mut script, key);
            script.sync();
            script.later();
            let case = format!("{limit} {deletes:?}");
            assert!(script.reasons().contains(&HELD), "{case}");
            assert_eq!((script.key(T, of), script.key(T, other)), (Some(twins[&of]), None), "nothing was done: {case}");
            // Another one, says the person.
            script.delete(T, twins[&of]);
            script.sync();
            script.later();
            assert!(script.key(T, other).is_some(), "{case}");
            script.ends_well();
        }
    }
}

/// What a trigger of the application's does is logged before what set it off: the first entry of the user's transaction, which
/// is still open, comes last.
fn first_is_logged_last(script: &mut Script) {
    let mut world = script.0.world();
    let pending = &mut world.databases[S].users.last_mut().expect("the user's transaction").pending;
    let mut positions: Vec<i64> = pending.iter().map(|step| step.entry.lsn).collect();
    positions.rotate_right(1);
    pending.iter_mut().zip(positions).for_each(|(step, lsn)| step.entry.lsn = lsn);
}

#[test]
fn rule8_a_delete_logged_behind_the_keys_it_moved_is_of_its_own_record() {
    for limit in [1, 2, 3, 20_000] {
        for deletes in [Deletes::Delete, Deletes::Keep] {
            let (mut script, records, twins) = stocked(Options { limit, deletes, ..quiet() });
            script.open(S, |statement, world| {
                let rows = world.databases[S].tables[TABLE].rows.clone();
                statement.delete(world, TABLE, records[1].0, &rows[&records[1].0]);
                for two in records[1..].windows(2) {
                    let number = world.id() as i64;
                    statement.give_key(world, TABLE, two[1].0, &rows[&two[1].0], two[0].0, number);
                }
            });
            first_is_logged_last(&mut script);
            script.end(S, false);
            script.sync();
            script.later();
            let case = format!("{limit} {deletes:?}");
            for (_, of) in records.iter().filter(|record| **record != records[1]) {
                assert_eq!(script.key(T, *of), Some(twins[of]), "{case}");
            }
            assert_eq!(script.key(T, records[1].1).is_some(), deletes == Deletes::Keep, "{case}");
            script.ends_well();
        }
    }
}

#[test]
fn a20_a_record_that_a_trigger_put_back_before_its_delete_was_logged_keeps_its_twin() {
    for matching in [true, false] {
        let mut script = Script::new(Options { matching, reuse: [true, false], ..quiet() });
        let [s, t] = script.twins();
        let of = script.entity(S, s);
        script.open(S, |statement, world| {
            let before = world.databases[S].tables[TABLE].rows[&s].clone();
            statement.delete(world, TABLE, s, &before);
            add(statement, world, s, of);
        });
        first_is_logged_last(&mut script);
        script.end(S, false);
        script.sync();
        assert_eq!(script.key(T, of), Some(t), "{matching}");
        script.ends_well();
    }
}

#[test]
fn a26_a_key_that_a_trigger_changed_once_more_is_followed() {
    let mut script = Script::new(quiet());
    let [s, t] = script.twins();
    let of = script.entity(S, s);
    script.open(S, |statement, world| {
        let mut before = world.databases[S].tables[TABLE].rows[&s].clone();
        for (from, to) in [(s, s + 5), (s + 5, s + 9)] {
            let number = world.id() as i64;
            statement.give_key(world, TABLE, from, &before, to, number);
            before = statement.last().expect("just renamed");
        }
    });
    first_is_logged_last(&mut script);
    script.end(S, false);
    script.sync();
    assert_eq!(script.key(T, of), Some(t));
    script.ends_well();
}
