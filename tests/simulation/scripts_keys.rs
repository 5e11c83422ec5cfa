//! Scripts about keys that are given out again while a batch is written.

use twinrow::model::ConflictPolicy;

use crate::scripts::{S, Script, T, TABLE, add, quiet};
use crate::world::Options;

/// A record of the target is deleted while the batch is written that makes its twin, and another record of the batch gets its
/// key there.
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
