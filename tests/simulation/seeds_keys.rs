//! Seeds about keys: of two parts, with children that follow, given out again; and about twins that two people enter.

use twinrow::model::Deletes;

use crate::options::{Options, Shape};
use crate::seeds::{any, seeds};
use crate::{CONFLICTS, EACH, ON_DELETE};

#[test]
fn a13_keys_that_change_take_their_children_along() {
    seeds("a13_keys_that_change_take_their_children_along", EACH, |chance| Options {
        shape: *chance.pick(&[Shape::Family, Shape::Circle]),
        on_update: *chance.pick(&[[true, true], [true, false], [false, true]]),
        on_delete: [(); 2].map(|()| *chance.pick(&ON_DELETE)),
        copy: chance.one_in(0.5),
        rename: 0.15,
        reuse: [chance.one_in(0.3), chance.one_in(0.3)],
        ..any(chance)
    });
}

#[test]
fn c19_keys_of_two_parts_of_which_one_travels() {
    seeds("c19_keys_of_two_parts_of_which_one_travels", EACH, |chance| Options {
        composite: *chance.pick(&[[true, true], [true, false], [false, true]]),
        rename: 0.15,
        reuse: [chance.one_in(0.3), chance.one_in(0.3)],
        matching: chance.one_in(0.3),
        stocked: chance.one_in(0.3),
        conflict: *chance.pick(&CONFLICTS),
        deletes: *chance.pick(&[Deletes::Delete, Deletes::Delete, Deletes::Keep, Deletes::Recreate]),
        ..any(chance)
    });
}

#[test]
fn c19_families_under_keys_of_two_parts() {
    seeds("c19_families_under_keys_of_two_parts", EACH, |chance| Options {
        composite: [true, true],
        copy: chance.one_in(0.4),
        shape: *chance.pick(&[Shape::Family, Shape::Circle]),
        on_update: *chance.pick(&[[true, true], [true, true], [true, false], [false, false]]),
        on_delete: [(); 2].map(|()| *chance.pick(&ON_DELETE)),
        rename: 0.15,
        reuse: [chance.one_in(0.3), chance.one_in(0.3)],
        ..any(chance)
    });
}

#[test]
fn c4_records_made_again_and_keys_given_out_again_double_nothing() {
    seeds("c4_records_made_again_and_keys_given_out_again_double_nothing", EACH, |chance| {
        let shape = *chance.pick(&[Shape::Flat, Shape::Flat, Shape::Family]);
        Options {
            deletes: Deletes::Recreate,
            reuse: *chance.pick(&[[true, true], [true, false], [false, true]]),
            // (Twins that refer to others are linked before they are decided: a new holder of such a key is held, for nothing tells.)
            matching: shape == Shape::Flat && chance.one_in(0.5),
            shape,
            truncate: if chance.one_in(0.3) { 0.02 } else { 0.0 },
            delete: 0.15,
            ..any(chance)
        }
    });
}

#[test]
fn i2_twins_entered_on_both_sides_at_the_same_moment_are_one_record() {
    seeds("i2_twins_entered_on_both_sides_at_the_same_moment_are_one_record", EACH, |chance| Options {
        matching: true,
        unique: true,
        rows: 8,
        delete: 0.15,
        reuse: [chance.one_in(0.3), chance.one_in(0.3)],
        shape: *chance.pick(&[Shape::Flat, Shape::Family, Shape::Circle]),
        deletes: *chance.pick(&[Deletes::Delete, Deletes::Keep, Deletes::Recreate]),
        conflict: *chance.pick(&CONFLICTS),
        ..any(chance)
    });
}
