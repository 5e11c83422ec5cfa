//! PostgreSQL: the suite on the oldest and the newest server at hand, and what only it has.

mod v13 {
    conformance!(matrix all writers counted trigger_keys: crate::support::postgres::pg13);
}

mod v15 {
    conformance!(all writers counted trigger_keys: crate::support::postgres::pg15);
}

mod v17 {
    conformance!(matrix all writers counted trigger_keys: crate::support::postgres::pg17);
}

mod v18 {
    conformance!(all writers counted trigger_keys: crate::support::postgres::pg18);
}

mod backlog;
mod own;
mod partitions;
mod returned;

/// A test on every server.
macro_rules! on_all {
    ($($name:ident),* $(,)?) => {
        mod own13 { $(on_all! { @ "TWINROW_TEST_POSTGRES13" [#[ignore = "matrix"]] $name })* }
        mod own15 { $(on_all! { @ "TWINROW_TEST_POSTGRES15" [] $name })* }
        mod own17 { $(on_all! { @ "TWINROW_TEST_POSTGRES17" [#[ignore = "matrix"]] $name })* }
        mod own18 { $(on_all! { @ "TWINROW_TEST_POSTGRES18" [] $name })* }
    };
    (@ $server:literal [$($mark:tt)*] $name:ident) => {
        $($mark)*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            super::own::run(concat!(module_path!(), "::", stringify!($name)), $server, |lab| Box::pin(super::own::$name(lab))).await;
        }
    };
}

on_all!(
    rule5_what_comes_after_a_statement_is_read_back,
    rule5_what_foreign_keys_change_is_read_back,
    step7_a_version_tells_whether_a_row_is_as_it_was_read,
    rule7_a_long_log_is_read_once_while_it_grows,
    a4_prepared_transactions_and_other_databases_hold_up_nobody,
    a4_a_prepared_transaction_is_named_and_a_missing_right_too,
    a12_truncate_leaves_a_mark,
    a13_cascades_are_captured,
    a18_logical_replication_is_captured_once,
    a17_replica_role_is_captured_once,
    a20_partitions_are_captured,
    a20_a_row_that_goes_to_another_partition_is_renamed,
    a20_what_a_transaction_does_around_a_move_is_told,
    a20_triggers_of_the_application_move_rows_too,
    a20_a_row_moves_between_partitions_of_a_list,
    c24_a_partitioned_table_is_written,
    a21_inheritance_children_are_captured,
    a23_copy_merge_and_ctes_are_captured,
    a30_a_lost_key_column_does_not_stop_the_application,
    a31_new_rows_get_numbers_of_the_table_that_is_there_now,
    a26_keys_that_change_by_cascade_are_renamed,
    a26_several_keys_are_renamed_however_they_change,
    a26_a_large_update_of_keys_is_captured_in_order,
    a33_install_does_not_freeze_the_application,
    a34_users_without_rights_and_hostile_settings,
    a35_temporary_tables_catch_nothing,
    a39_lastval_is_untouched,
    a_plain_user_installs_and_syncs,
    a69_who_may_not_remove_all_is_told_before,
    a43_a_bulk_update_takes_one_transaction_id,
    a63_policies_are_errors_not_deletes,
    a67_a_snapshot_from_the_future_is_an_error,
    a74_one_unreadable_row_does_not_block_the_others,
    a75_a_huge_transaction_is_read_in_parts,
    a20_a_replaced_row_is_one_entry,
    a20_a_transaction_over_several_windows_still_replaces,
    a11_a_truncated_log_is_an_error,
    b4_the_origin_does_not_outlive_its_transaction,
    c5_copied_keys_move_the_generator,
    c8_and_c6_padded_and_case_blind_keys,
    c7_no_collation_changes_what_is_alike,
    c7_no_index_changes_what_is_alike,
    c7_no_locale_of_the_database_changes_what_is_alike,
    c24_identity_always_and_uuid_defaults,
    key_triggers_that_override_ours_are_noticed,
    values_come_back_as_they_went,
    rule4_statements_of_a_fenced_writer_do_not_land,
    rule19_a_delete_does_not_wait_for_children_being_inserted,
    rule19_a_unique_value_does_not_wait_for_children_being_inserted,
    acknowledged_entries_are_removed,
    a_lost_connection_is_told_apart,
    tls_is_checked,
);
