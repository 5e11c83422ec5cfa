//! Ring 3: the pipeline against endpoints in memory, with crashes and interleavings from a seed.
//!
//! `TWINROW_SEED=n cargo test --test simulation NAME` runs one seed again and tells what happened
//! (`TWINROW_TRACE` lines of it); `TWINROW_SEEDS=n` runs that many in all.

mod database;
mod endpoint;
mod oracle;
mod scripts;
mod seeds;
mod session;
mod users;
mod world;

use seeds::{any, keeping, run, seeds};
use twinrow::model::{Blanks, ConflictPolicy, Deletes, Direction};
use world::{Chance, Options, Rounding, Shape};

/// Seeds of each test, so that all of them are more than 500.
const EACH: u64 = 50;
/// Of those that try one more policy each.
const FEW: u64 = 30;

#[test]
fn i1_nothing_is_lost_or_doubled() {
    seeds("i1_nothing_is_lost_or_doubled", EACH, any);
}

#[test]
fn i1_nothing_is_lost_with_keys_given_out_again() {
    seeds("i1_nothing_is_lost_with_keys_given_out_again", EACH, |chance| Options {
        reuse: *chance.pick(&[[true, true], [true, false], [false, true]]),
        ..any(chance)
    });
}

#[test]
fn i2_first_sync_of_two_stocked_sides_doubles_nothing() {
    seeds("i2_first_sync_of_two_stocked_sides_doubles_nothing", EACH, |chance| Options {
        matching: true,
        unique: chance.one_in(0.5),
        stocked: true,
        reuse: [chance.one_in(0.3), chance.one_in(0.3)],
        ..any(chance)
    });
}

#[test]
fn i3_rounded_values_never_flow_back() {
    seeds("i3_rounded_values_never_flow_back", EACH, |chance| Options {
        rounding: *chance.pick(&[Rounding::Mapped, Rounding::Silent]),
        ..any(chance)
    });
}

#[test]
fn i4_losers_are_kept_under_every_policy() {
    seeds("i4_losers_are_kept_under_every_policy", EACH, |chance| Options {
        conflict: *chance.pick(&[ConflictPolicy::Target, ConflictPolicy::Merge, ConflictPolicy::Newest]),
        ..keeping(chance)
    });
}

#[test]
fn i6_the_brake_holds_until_approved() {
    seeds("i6_the_brake_holds_until_approved", EACH, |chance| Options { brake: true, delete: 0.2, ..any(chance) });
}

#[test]
fn i7_a_refused_record_stops_only_itself() {
    seeds("i7_a_refused_record_stops_only_itself", EACH, |chance| Options { refusing: true, ..any(chance) });
}

#[test]
fn i8_one_writer_of_many_processes() {
    seeds("i8_one_writer_of_many_processes", EACH, |chance| Options {
        crash: 0.06,
        second: 0.15,
        fault: 0.01,
        reuse: [chance.one_in(0.3), chance.one_in(0.3)],
        ..any(chance)
    });
}

#[test]
fn i2_copied_keys_stay_with_their_records() {
    seeds("i2_copied_keys_stay_with_their_records", FEW, |chance| Options { copy: true, ..any(chance) });
}

#[test]
fn i4_a_held_conflict_keeps_both_values() {
    seeds("i4_a_held_conflict_keeps_both_values", FEW, |chance| Options { conflict: ConflictPolicy::Hold, ..any(chance) });
}

#[test]
fn a27_an_emptied_table_is_noticed() {
    seeds("a27_an_emptied_table_is_noticed", FEW, |chance| Options { truncate: 0.02, ..any(chance) });
}

#[test]
fn c4_an_emptied_table_hands_no_twin_on() {
    seeds("c4_an_emptied_table_hands_no_twin_on", FEW, |chance| Options {
        truncate: 0.02,
        reuse: *chance.pick(&[[true, true], [true, false], [false, true]]),
        ..any(chance)
    });
}

#[test]
fn s0_2_blanks_clear_nothing_that_is_protected() {
    seeds("s0_2_blanks_clear_nothing_that_is_protected", FEW, |chance| Options {
        blank: 0.2,
        blanks: *chance.pick(&[Blanks::Keep, Blanks::Propagate]),
        conflict: *chance.pick(&[ConflictPolicy::Source, ConflictPolicy::Target, ConflictPolicy::Merge]),
        ..any(chance)
    });
}

#[test]
fn one_way_links_never_write_their_source() {
    seeds("one_way_links_never_write_their_source", FEW, |chance| Options {
        direction: Direction::ToTarget,
        deletes: *chance.pick(&[Deletes::Delete, Deletes::Keep, Deletes::Recreate]),
        ..any(chance)
    });
}

#[test]
fn c15_nobody_waits_for_ever_where_nothing_is_deleted() {
    seeds("c15_nobody_waits_for_ever_where_nothing_is_deleted", FEW, |chance| Options {
        shape: *chance.pick(&[Shape::Family, Shape::Circle]),
        delete: 0.0,
        ..any(chance)
    });
}

#[test]
fn c15_parents_come_before_children() {
    seeds("c15_parents_come_before_children", EACH, |chance| Options {
        shape: *chance.pick(&[Shape::Family, Shape::Circle]),
        ..any(chance)
    });
}

#[test]
fn a_seed_repeats_itself() {
    for seed in 0..3 {
        let options = any(&mut Chance::new(seed));
        assert_eq!(run(seed, options.clone(), false).print, run(seed, options, true).print);
    }
}
