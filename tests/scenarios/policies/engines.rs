//! What depends on the engine, on each of them as the source and as the target.

use super::compare::s1_10_a_full_compare_while_both_sides_are_written;
use super::conflicts::conflict_newest_takes_the_later_row;
use super::first_sync::{ambiguous_matches_are_held_with_their_candidates, s4_39_to_41_tracking_is_created_once};
use super::generated::{a_match_by_several_columns_normalises_each, s4_6_and_7_every_kind_of_key_stays_its_sides_own};
use super::keys::{c12_unique_values_rotate_by_three, composite_keys_are_followed, keys_copy_brings_the_key_along};
use crate::scene::scenarios;

scenarios! { each_engine:
    a_match_by_several_columns_normalises_each,
    ambiguous_matches_are_held_with_their_candidates,
    c12_unique_values_rotate_by_three,
    composite_keys_are_followed,
    conflict_newest_takes_the_later_row,
    keys_copy_brings_the_key_along,
    s1_10_a_full_compare_while_both_sides_are_written,
    s4_39_to_41_tracking_is_created_once,
    s4_6_and_7_every_kind_of_key_stays_its_sides_own,
}
