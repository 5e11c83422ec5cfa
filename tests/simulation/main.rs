//! Ring 3: the pipeline against endpoints in memory, with crashes and interleavings from a seed.
//!
//! `TWINROW_SEED=n cargo test --test simulation NAME` runs one seed again and tells what happened
//! (`TWINROW_TRACE` lines of it); `TWINROW_SEEDS=n` runs that many in all.

mod configuration;
mod database;
mod endpoint;
mod keys;
mod landing;
mod moment;
mod options;
mod oracle;
mod restore;
mod run;
mod scripts;
mod scripts_brake;
mod scripts_compare;
mod scripts_cycle;
mod scripts_deleted;
mod scripts_keys;
mod scripts_map;
mod scripts_replaced;
mod scripts_twins;
mod scripts_waits;
mod scripts_write;
mod seeds;
mod seeds_keys;
mod seeds_links;
mod session;
mod statement;
mod trouble;
mod users;
mod world;
mod write;

use options::{OnDelete, Options, Rounding, Shape, Third};
use run::run;
use seeds::{any, keeping, seeds};
use twinrow::model::{Blanks, ConflictPolicy, Deletes, Direction};
use world::Chance;

/// Seeds of each test, so that all of them are more than 500.
const EACH: u64 = 26;
/// Of those that try one more policy each.
const FEW: u64 = 18;

const CONFLICTS: [ConflictPolicy; 4] =
    [ConflictPolicy::Source, ConflictPolicy::Target, ConflictPolicy::Merge, ConflictPolicy::Newest];
const ON_DELETE: [OnDelete; 4] = [OnDelete::Restrict, OnDelete::Cascade, OnDelete::Marked, OnDelete::SetNull];

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
fn c4_copied_keys_given_out_again_hand_no_twin_on() {
    seeds("c4_copied_keys_given_out_again_hand_no_twin_on", EACH, |chance| Options {
        copy: true,
        reuse: *chance.pick(&[[true, true], [true, false], [false, true]]),
        deletes: *chance.pick(&[Deletes::Delete, Deletes::Delete, Deletes::Keep]),
        // Where both sides give records keys that the other one's still have, a person must choose.
        rename: 0.0,
        ..any(chance)
    });
}

#[test]
fn rule22_copied_keys_are_exchanged() {
    seeds("rule22_copied_keys_are_exchanged", FEW, |chance| Options { copy: true, swap: 0.1, ..any(chance) });
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
        direction: *chance.pick(&[Direction::ToTarget, Direction::ToSource]),
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
fn a13_cascades_reach_children_and_nobody_else() {
    seeds("a13_cascades_reach_children_and_nobody_else", EACH, |chance| Options {
        shape: *chance.pick(&[Shape::Family, Shape::Circle]),
        on_delete: [(); 2].map(|()| *chance.pick(&ON_DELETE)),
        truncate: if chance.one_in(0.3) { 0.01 } else { 0.0 },
        deletes: *chance.pick(&[Deletes::Delete, Deletes::Delete, Deletes::Keep, Deletes::Recreate]),
        reuse: [chance.one_in(0.2), chance.one_in(0.2)],
        ..any(chance)
    });
}

#[test]
fn rule9_compacted_and_overlong_logs_lose_nothing() {
    seeds("rule9_compacted_and_overlong_logs_lose_nothing", EACH, |chance| Options {
        log_max: Some(*chance.pick(&[0, 5, 20, 1_000_000])),
        shape: *chance.pick(&[Shape::Flat, Shape::Family]),
        reuse: [chance.one_in(0.4), chance.one_in(0.4)],
        away: 0.02,
        truncate: if chance.one_in(0.2) { 0.01 } else { 0.0 },
        ..any(chance)
    });
}

#[test]
fn rule21_a_third_database_agrees_too() {
    seeds("rule21_a_third_database_agrees_too", EACH, |chance| Options {
        third: *chance.pick(&[Third::Star, Third::Chain, Third::Same]),
        shape: *chance.pick(&[Shape::Flat, Shape::Flat, Shape::Family]),
        reuse: [chance.one_in(0.2), chance.one_in(0.2)],
        conflict: *chance.pick(&[ConflictPolicy::Source, ConflictPolicy::Merge]),
        ..any(chance)
    });
}

#[test]
fn a63_a_missing_right_is_no_evidence() {
    seeds("a63_a_missing_right_is_no_evidence", FEW, |chance| Options {
        denied: 0.02,
        shape: *chance.pick(&[Shape::Flat, Shape::Family]),
        deletes: *chance.pick(&[Deletes::Delete, Deletes::Recreate]),
        ..any(chance)
    });
}

#[test]
fn a11_a_log_that_was_made_anew_is_compared() {
    seeds("a11_a_log_that_was_made_anew_is_compared", FEW, |chance| Options {
        relog: 0.01,
        // Nothing but the log can tell another key from another record.
        rename: 0.0,
        shape: *chance.pick(&[Shape::Flat, Shape::Family]),
        ..any(chance)
    });
}

#[test]
fn a_changed_configuration_loses_nothing() {
    seeds("a_changed_configuration_loses_nothing", EACH, |chance| Options {
        changes: 0.008,
        shape: *chance.pick(&[Shape::Flat, Shape::Family]),
        ..any(chance)
    });
}

#[test]
fn rule17_a_database_that_was_set_back_stops_everything() {
    seeds("rule17_a_database_that_was_set_back_stops_everything", EACH, |chance| Options {
        restore: true,
        deletes: *chance.pick(&[Deletes::Delete, Deletes::Keep]),
        ..any(chance)
    });
}

#[test]
fn c12_unique_values_are_swapped_and_collisions_held() {
    seeds("c12_unique_values_are_swapped_and_collisions_held", EACH, |chance| Options {
        swaps: true,
        conflict: *chance.pick(&[ConflictPolicy::Source, ConflictPolicy::Target, ConflictPolicy::Merge]),
        ..any(chance)
    });
}

#[test]
fn b1_triggers_that_change_other_rows_come_to_rest() {
    seeds("b1_triggers_that_change_other_rows_come_to_rest", FEW, |chance| Options {
        trigger: true,
        shape: *chance.pick(&[Shape::Flat, Shape::Family]),
        ..any(chance)
    });
}

#[test]
fn families_keep_together_under_every_policy() {
    seeds("families_keep_together_under_every_policy", EACH, |chance| Options {
        shape: *chance.pick(&[Shape::Family, Shape::Circle]),
        on_delete: [(); 2].map(|()| *chance.pick(&ON_DELETE)),
        deletes: *chance.pick(&[Deletes::Delete, Deletes::Keep, Deletes::Recreate]),
        conflict: *chance.pick(&CONFLICTS),
        direction: *chance.pick(&[Direction::Both, Direction::Both, Direction::ToTarget, Direction::ToSource]),
        blanks: *chance.pick(&[Blanks::Propagate, Blanks::Propagate, Blanks::Keep]),
        blank: if chance.one_in(0.3) { 0.2 } else { 0.0 },
        copy: chance.one_in(0.2),
        stocked: chance.one_in(0.3),
        brake: chance.one_in(0.2),
        refusing: chance.one_in(0.2),
        rounding: *chance.pick(&[Rounding::No, Rounding::No, Rounding::Mapped, Rounding::Silent]),
        log_max: if chance.one_in(0.3) { Some(10) } else { None },
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
