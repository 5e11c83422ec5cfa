//! Ring 2: one suite that every endpoint passes, on real servers.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
#[allow(dead_code)] // Each ring uses its part.
mod support;

mod suite;

/// The whole suite for one lab, in a module of its own: `conformance!(all replace: crate::support::sqlite::lab)`. Behind
/// `all`, what more its engine has: several writers at a time, a count of the rows that are read, REPLACE, triggers that set a key. Before it, the word
/// `matrix`: only run by `./test --matrix`.
macro_rules! conformance {
    (matrix $($group:ident)+: $lab:path) => {
        $(conformance! { @$group [#[ignore = "matrix"]] $lab })+
    };
    (@all $mark:tt $lab:path) => {
        conformance! { $mark $lab:
            describe_finds_keys_kinds_and_foreign_keys,
            describe_names_what_is_missing,
            describe_hides_what_is_ours,
            a57_hostile_identifiers,
            a_script_run_by_hand_equals_install,
            install_twice_is_a_no_op,
            i9_two_installs_at_once_both_end_well,
            rule21_one_place_is_known_by_its_sign,
            a32_an_upgrade_under_load_loses_no_change,
            f15_what_a_newer_program_installed_is_left_alone,
            uninstall_leaves_nothing,
            a69_an_uninstall_and_an_installation_take_turns,
            a69_half_removed_tracking_can_be_removed,
            uninstall_keeps_what_another_integration_uses,
            capture_is_exact,
            capture_of_composite_and_text_keys,
            a26_renames_keep_old_and_new_key,
            a26_each_of_several_keys_is_renamed,
            a23_upsert_is_captured,
            rollback_leaves_nothing,
            a6_every_window_sees_what_was_committed_before,
            a8_acknowledge_removes_only_what_was_read,
            a76_two_consumers_read_all,
            s4_2_two_links_on_one_table_read_all,
            a_window_that_was_not_acknowledged_is_read_again,
            a_window_is_limited_and_says_so,
            a11_a_recreated_log_is_an_error,
            rule9_compaction_takes_only_what_a_newer_entry_repeats,
            rule9_compaction_leaves_whose_change_it_is,
            an_absent_consumer_leaves_the_log_bounded,
            a_backlog_is_compacted_before_it_is_read,
            inspect_finds_nothing_wrong,
            a17_a_dropped_trigger_is_found_and_repaired,
            a17_an_altered_trigger_is_found_and_repaired,
            a68_a_replaced_table_is_found,
            i5_the_application_notices_nothing,
            fetch_keeps_order_and_says_absent,
            rule2_rows_read_ahead_are_of_the_moment,
            large_rows_are_read_a_few_at_a_time,
            rule2_unread_deletes_are_named,
            rule2_unread_renames_are_named_by_both_keys,
            rule2_an_unread_rename_by_a_blank_is_named,
            rule2_unread_inserts_are_named_where_asked,
            find_normalises_both_sides,
            c7_texts_are_alike_as_stated,
            c7_texts_are_alike_as_stated_beside_an_index,
            c7_every_letter_of_unicode_is_folded_as_stated,
            c10_null_and_empty_match_nothing,
            find_stops_at_many_candidates,
            page_covers_all_keys,
            insert_returns_generated_keys,
            insert_takes_given_keys,
            update_touches_the_fields_named,
            delete_deletes,
            rule18_reach_tells_what_a_delete_would_take_along,
            b1_own_writes_are_tagged,
            lock_returns_the_row_as_it_is_now,
            rule3_keys_that_moved_since_a_window_are_told,
            rule19_lock_does_not_wait,
            a44_rows_taken_in_opposite_order_never_fail_the_application,
            rule6_read_back_orders_own_writes_and_later_ones,
            a_rolled_back_write_leaves_nothing,
            a_duplicate_is_told_from_other_refusals,
            rule4_another_epoch_is_fenced,
            every_statement_runs,
            pairs_are_written_by_version,
            i4_a_conflict_of_long_rows_is_kept_whole,
            work_is_written_again,
            receipts_come_back_in_order,
            rule10_a_long_key_is_absorbed_whole_or_not_at_all,
            every_lease_has_a_higher_epoch,
            no_two_integrations_have_the_same_epoch,
            i2_two_links_that_are_new_at_once_get_two_numbers,
        }
    };
    (@writers $mark:tt $lab:path) => {
        conformance! { $mark $lab:
            a1_commit_order_differs_from_id_order,
            rule7_changes_come_in_the_order_of_the_log,
            a3_an_idle_transaction_holds_up_nobody,
            a3_an_open_transaction_is_named,
            compaction_leaves_open_transactions_alone,
            a44_when_ours_is_the_victim_nothing_of_it_stands,
        }
    };
    (@counted $mark:tt $lab:path) => {
        conformance! { $mark $lab: statements_by_key_read_a_few_rows_a_key }
    };
    (@replace $mark:tt $lab:path) => {
        conformance! { $mark $lab: a14_replace_is_captured }
    };
    (@trigger_keys $mark:tt $lab:path) => {
        conformance! { $mark $lab: insert_returns_keys_of_triggers }
    };
    (@test [$($mark:tt)*] $lab:path: $name:ident) => {
        $($mark)*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let name = concat!(module_path!(), "::", stringify!($name));
            crate::support::run(name, $lab().await, |lab| Box::pin(crate::suite::$name(lab))).await;
        }
    };
    ($($group:ident)+: $lab:path) => {
        $(conformance! { @$group [] $lab })+
    };
    ($mark:tt $lab:path: $($name:ident),* $(,)?) => {
        $(conformance! { @test $mark $lab: $name })*
    };
}

mod kinto;
mod mysql;
mod postgres;
mod sqlite;
mod stress;
