//! What happens while nobody looks, and to the triggers themselves.

use crate::program::until;
use crate::scene::{Counts, Scene, rows, scenarios};
use crate::support::Damage;

scenarios! { sqlite_sqlite:
    s2_6_changes_made_while_stopped_are_delivered,
    a17_a_dropped_trigger_is_found_while_running,
    s1_10_and_11_s3_5_s3_12_to_14_a_full_compare_repairs_what_triggers_did_not_see,
    s1_12_s3_15_a_full_compare_of_what_is_in_sync_writes_nothing,
    s3_6_s3_10_a_delete_nobody_saw_is_inferred_by_the_compare,
    s4_37_a_run_does_what_happened_since_the_last,
    s4_54_updates_that_change_nothing_write_nothing,
    a_link_added_later_starts_by_itself,
    sigterm_ends_it_well,
    i8_nothing_is_uninstalled_under_a_process_that_runs,
}

scenarios! { postgres_postgres:
    a17_a_dropped_trigger_is_found_while_running,
    s1_10_and_11_s3_5_s3_12_to_14_a_full_compare_repairs_what_triggers_did_not_see,
    s3_6_s3_10_a_delete_nobody_saw_is_inferred_by_the_compare,
    s4_54_updates_that_change_nothing_write_nothing,
}

scenarios! { postgres13_mariadb118 matrix:
    s2_6_changes_made_while_stopped_are_delivered,
    s1_10_and_11_s3_5_s3_12_to_14_a_full_compare_repairs_what_triggers_did_not_see,
    s4_54_updates_that_change_nothing_write_nothing,
}

scenarios! { mariadb118_postgres17 matrix:
    s2_6_changes_made_while_stopped_are_delivered,
    s4_54_updates_that_change_nothing_write_nothing,
}

async fn two(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    scene.customer("a@x", "Ada").await;
    scene.contact("b@x", "Ben").await;
    scene.sync().await;
}

async fn names(scene: &Scene) -> [Vec<String>; 2] {
    [
        rows(&scene.source, "select email, name from customer order by email").await,
        rows(&scene.target, "select mail, full_name from contact order by mail").await,
    ]
}

/// Also S0-8, S3-1: what happened meanwhile is delivered, nothing is created again.
pub async fn s2_6_changes_made_while_stopped_are_delivered(scene: &Scene) {
    two(scene).await;
    scene.customer("c@x", "Cai").await;
    scene.source.user("update customer set name = 'Ada L' where email = 'a@x'").await;
    scene.target.user("update contact set full_name = 'Ben N' where mail = 'b@x'").await;
    scene.contact("d@x", "Dee").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "created_source"), counts.of("customers", "created_target")), (1, 1));
    assert_eq!((counts.of("customers", "updated_source"), counts.of("customers", "updated_target")), (1, 1));
    let all = ["a@x|Ada L", "b@x|Ben N", "c@x|Cai", "d@x|Dee"];
    assert_eq!(names(scene).await, [all, all]);
    scene.quiet().await;
}

pub async fn a17_a_dropped_trigger_is_found_while_running(scene: &Scene) {
    two(scene).await;
    let mut child = scene.program.start(&["run"], None);
    until("it runs", || async { scene.program.log().contains("both runs") }).await;
    scene.source.damage("customer", Damage::TriggerDropped).await;
    scene.source.user("update customer set name = 'unseen' where email = 'a@x'").await;
    until("the unseen change arrives", || async {
        rows(&scene.target, "select full_name from contact where mail = 'a@x'").await == ["unseen"]
    })
    .await;
    // The trigger is back: the next change needs no compare.
    scene.source.user("update customer set name = 'seen' where email = 'a@x'").await;
    until("the next change arrives", || async {
        rows(&scene.target, "select full_name from contact where mail = 'a@x'").await == ["seen"]
    })
    .await;
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    assert!(scene.program.log().contains("WARN"), "{}", scene.program.log());
}

async fn full(scene: &Scene) -> Counts {
    Counts(scene.program.run(&["resync", "full", "--json"]).await.code(0).json())
}

/// Also S1-11, S3-5, S3-7, S3-12..14.
pub async fn s1_10_and_11_s3_5_s3_12_to_14_a_full_compare_repairs_what_triggers_did_not_see(scene: &Scene) {
    two(scene).await;
    scene
        .unseen(&[
            "update customer set name = 'unseen' where email = 'a@x'",
            "insert into customer (email, name) values ('c@x', 'Cai')",
        ])
        .await;
    let counts = full(scene).await;
    assert_eq!((counts.of("customers", "updated_target"), counts.of("customers", "created_target"), counts.writes()), (1, 1, 2));
    let all = ["a@x|unseen", "b@x|Ben", "c@x|Cai"];
    assert_eq!(names(scene).await, [all, all]);
    assert_eq!(full(scene).await.writes(), 0);
    scene.quiet().await;
}

pub async fn s1_12_s3_15_a_full_compare_of_what_is_in_sync_writes_nothing(scene: &Scene) {
    two(scene).await;
    let before = names(scene).await;
    let counts = full(scene).await;
    assert_eq!((counts.writes(), counts.of("customers", "linked"), counts.of("customers", "agreed")), (0, 0, 0));
    assert_eq!(names(scene).await, before);
    scene.refused(&["resync", "full", "customer"], 2).await;
}

/// Also S3-6, S3-11: by the options of the link.
pub async fn s3_6_s3_10_a_delete_nobody_saw_is_inferred_by_the_compare(scene: &Scene) {
    two(scene).await;
    scene.unseen(&["delete from customer where email = 'a@x'"]).await;
    assert_eq!(full(scene).await.of("customers", "deleted_target"), 1);
    assert_eq!(names(scene).await, [["b@x|Ben"], ["b@x|Ben"]]);
    scene.quiet().await;
}

pub async fn s4_37_a_run_does_what_happened_since_the_last(scene: &Scene) {
    two(scene).await;
    scene.source.user("update customer set phone = '1' where email = 'a@x'").await;
    let counts = scene.sync().await;
    assert_eq!((counts.writes(), counts.of("customers", "updated_target")), (1, 1));
    // What it looked at: that record, and the echo of its own write.
    assert!(counts.of("customers", "decided") <= 2, "{counts:?}");
}

pub async fn s4_54_updates_that_change_nothing_write_nothing(scene: &Scene) {
    two(scene).await;
    scene.source.user("update customer set name = name").await;
    let counts = scene.sync().await;
    assert_eq!(counts.writes(), 0);
    assert_eq!(counts.of("customers", "decided"), 2);
    scene.quiet().await;
}

/// S4-58, S4-63: only the new link starts; the others go on.
pub async fn a_link_added_later_starts_by_itself(scene: &Scene) {
    scene.business("", "").await;
    scene.link(&[("customers", crate::scene::CUSTOMERS)]);
    scene.customer("a@x", "Ada").await;
    scene.source.user("insert into orders (code, customer_id, cents) select 'o1', id, 5 from customer").await;
    scene.sync().await;
    scene.target.user("insert into deal (ref, contact_no, amount) select 'o1', contact_no, 5 from contact").await;
    scene.link(&[("customers", crate::scene::CUSTOMERS), ("orders", crate::scene::ORDERS)]);
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "decided"), counts.of("orders", "linked"), counts.writes()), (0, 1, 0));
    scene.source.user("update orders set cents = 6").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select ref, amount from deal").await, ["o1|6"]);
    scene.quiet().await;
}

pub async fn sigterm_ends_it_well(scene: &Scene) {
    two(scene).await;
    let mut child = scene.program.start(&["run"], None);
    until("it runs", || async { scene.program.log().contains("both runs") }).await;
    let id = child.id().unwrap().to_string();
    tokio::process::Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
    let status = tokio::time::timeout(crate::program::PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0), "{}", scene.program.log());
    // It let go: the next need not wait.
    scene.quiet().await;
}

pub async fn i8_nothing_is_uninstalled_under_a_process_that_runs(scene: &Scene) {
    two(scene).await;
    let mut child = scene.program.start(&["run"], None);
    until("it runs", || async { scene.program.log().contains("both runs") }).await;
    for command in [&["uninstall", "--all", "--yes"][..], &["uninstall"], &["uninstall", "--link", "customers"]] {
        let refused = scene.refused(command, 4).await.err;
        assert!(refused.contains("both is being run by") && refused.contains("--take-over"), "{refused}");
    }
    scene.customer("c@x", "Cai").await;
    until("it still runs", || async { rows(&scene.target, "select full_name from contact where mail = 'c@x'").await == ["Cai"] })
        .await;
    scene.program.run(&["uninstall", "--all", "--yes", "--take-over"]).await.code(0);
    assert!(!child.wait().await.unwrap().success());
}
