//! Scripts about records that are deleted and put back in one transaction, under the keys they had or under each other's: the
//! match rule says who is who.

use std::collections::BTreeMap;

use twinrow::model::Deletes;

use crate::database::X;
use crate::scripts::{S, Script, T, TABLE, add, quiet, set};
use crate::world::Options;

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
