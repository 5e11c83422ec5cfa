//! Scripts about an identity map that was lost: nothing is made twice, and a map that is empty for a good reason is
//! none that was lost.

use std::sync::Arc;

use crate::database::X;
use crate::options::{Home, Options};
use crate::scripts::{S, Script, T, quiet, set};
use crate::session::Own;

/// The map as it was, and none any more.
fn lose_the_map(script: &mut Script) -> Arc<Own> {
    let mut world = script.0.world();
    let home = world.home();
    let before = world.databases[home].own.clone();
    Arc::make_mut(&mut world.databases[home].own).pair.clear();
    before
}

fn put_back(script: &mut Script, before: &Own) {
    let mut world = script.0.world();
    let home = world.home();
    Arc::make_mut(&mut world.databases[home].own).pair = before.pair.clone();
}

fn counts(script: &Script) -> [usize; 2] {
    [S, T].map(|at| script.rows(at).len())
}

#[test]
fn c21_without_its_map_a_link_makes_nothing_twice() {
    for home in [Home::Source, Home::Target, Home::Third] {
        for matching in [false, true] {
            let mut script = Script::new(Options { home, matching, ..quiet() });
            let [s, t] = script.twins();
            script.twins();
            let before = lose_the_map(&mut script);
            script.update(S, s, X);
            script.update(T, t, X);
            script.insert(T);
            script.sync();
            script.later();
            assert_eq!(counts(&script), [2, 3], "{home:?} {matching}");
            put_back(&mut script, &before);
            script.later();
            assert_eq!(counts(&script), [3, 3], "the map is back: {home:?} {matching}");
            script.ends_well();
        }
    }
}

#[test]
fn c21_a_map_that_is_lost_while_it_runs_makes_nothing_twice() {
    // As `run --once` does: a link that fails stands still.
    let mut script = Script::new(Options { log_max: Some(1_000), ..quiet() });
    let [s, _] = script.twins();
    script.0.start(false);
    script.0.cycles(2);
    let before = lose_the_map(&mut script);
    script.update(S, s, X);
    script.0.cycles(6);
    assert_eq!(counts(&script), [1, 1]);
    put_back(&mut script, &before);
    script.crash();
    script.ends_well();
}

#[test]
fn c21_a_map_that_is_lost_before_its_first_cycle_ends_makes_nothing_twice() {
    let mut script = Script::new(Options { home: Home::Target, ..quiet() });
    let s = script.insert(S);
    script.start_until("apply.committed");
    script.crash();
    let before = lose_the_map(&mut script);
    script.user(S, |statement, world| set(statement, world, S, s, X));
    script.sync();
    assert_eq!(counts(&script), [1, 1]);
    put_back(&mut script, &before);
    script.ends_well();
}

#[test]
fn c21_a_map_whose_records_are_all_gone_is_not_a_lost_one() {
    let mut script = Script::new(quiet());
    let [s, _] = script.twins();
    script.delete(S, s);
    script.sync();
    assert_eq!(counts(&script), [0, 0]);
    script.insert(T);
    script.sync();
    assert_eq!(counts(&script), [1, 1]);
    script.ends_well();
}
