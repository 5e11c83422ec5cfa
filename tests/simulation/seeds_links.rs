//! Seeds about links: of which parts go one way, which stand still for a while, of which a database is set back.

use twinrow::model::{Blanks, Deletes, Direction};

use crate::options::{Options, Rounding, Shape, Third};
use crate::seeds::{any, seeds};
use crate::{CONFLICTS, EACH};

const WAYS: [Direction; 3] = [Direction::Both, Direction::ToTarget, Direction::ToSource];

#[test]
fn i4_fields_that_go_one_way_keep_both_sides_values() {
    seeds("i4_fields_that_go_one_way_keep_both_sides_values", EACH, |chance| Options {
        fields: [(); 2].map(|()| *chance.pick(&WAYS)),
        conflict: *chance.pick(&CONFLICTS),
        deletes: *chance.pick(&[Deletes::Delete, Deletes::Keep, Deletes::Recreate]),
        matching: chance.one_in(0.3),
        stocked: chance.one_in(0.3),
        rounding: *chance.pick(&[Rounding::No, Rounding::No, Rounding::Mapped, Rounding::Silent]),
        blank: if chance.one_in(0.3) { 0.2 } else { 0.0 },
        blanks: *chance.pick(&[Blanks::Propagate, Blanks::Propagate, Blanks::Keep]),
        reuse: [chance.one_in(0.3), chance.one_in(0.3)],
        ..any(chance)
    });
}

#[test]
fn one_way_links_of_parents_and_children_lose_nothing() {
    seeds("one_way_links_of_parents_and_children_lose_nothing", EACH, |chance| Options {
        shape: Shape::Family,
        direction: *chance.pick(&WAYS),
        below: Some(*chance.pick(&WAYS)),
        fields: [(); 2].map(|()| *chance.pick(&WAYS)),
        deletes: *chance.pick(&[Deletes::Delete, Deletes::Keep, Deletes::Recreate]),
        ..any(chance)
    });
}

#[test]
fn i7_a_link_that_stands_still_forgets_nothing() {
    seeds("i7_a_link_that_stands_still_forgets_nothing", EACH, |chance| Options {
        halts: 0.02,
        shape: *chance.pick(&[Shape::Flat, Shape::Family, Shape::Family, Shape::Circle]),
        third: *chance.pick(&[Third::No, Third::No, Third::Star, Third::Same]),
        reuse: [chance.one_in(0.3), chance.one_in(0.3)],
        // Of two links on one table each would make a deleted record again.
        deletes: *chance.pick(&[Deletes::Delete, Deletes::Delete, Deletes::Keep]),
        ..any(chance)
    });
}

#[test]
fn rule9_a_log_that_another_compacts_at_any_moment_loses_nothing() {
    seeds("rule9_a_log_that_another_compacts_at_any_moment_loses_nothing", EACH, |chance| Options {
        compaction: 0.1,
        shape: *chance.pick(&[Shape::Flat, Shape::Family]),
        reuse: [chance.one_in(0.4), chance.one_in(0.4)],
        rename: *chance.pick(&[0.07, 0.2]),
        third: *chance.pick(&[Third::No, Third::Star, Third::Chain]),
        ..any(chance)
    });
}

#[test]
fn rule17_of_two_integrations_the_one_it_concerns_stops() {
    seeds("rule17_of_two_integrations_the_one_it_concerns_stops", EACH, |chance| Options {
        restore: true,
        third: *chance.pick(&[Third::Star, Third::Chain, Third::Same]),
        deletes: *chance.pick(&[Deletes::Delete, Deletes::Keep]),
        ..any(chance)
    });
}
