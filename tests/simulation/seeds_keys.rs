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
