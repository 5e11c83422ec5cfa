//! Too much at once: stop and ask.

use crate::scene::{CUSTOMERS, Counts, ORDERS, Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    s4_53_an_emptied_side_stops_at_the_brake,
    an_approval_lets_exactly_that_set_through,
    a_changed_set_needs_another_approval,
    below_the_limits_deletes_travel,
    the_brake_counts_survivors_under_protect,
    i6_a_mass_update_stops_at_the_brake_on_changes,
    an_approval_lets_exactly_those_changes_through,
    below_the_limits_changes_travel,
    a_full_compare_counts_its_changes_before_it_writes_any,
    changes_are_free_once_their_brake_is_taken_away,
    rule15_a_tripped_brake_holds_when_the_keys_are_used_again,
    c3_a_kept_survivor_is_not_decided_again_because_its_key_is_used_again,
}

scenarios! { postgres_sqlite:
    s4_53_an_emptied_side_stops_at_the_brake,
    i6_a_mass_update_stops_at_the_brake_on_changes,
    an_approval_lets_exactly_those_changes_through,
    a32_truncate_is_not_a_mass_delete_until_approved,
    rule15_a_tripped_brake_holds_when_the_keys_are_used_again,
    a12_an_emptied_table_with_other_records_under_its_keys_deletes_nothing_unasked,
}

scenarios! { mysql_mariadb:
    an_approval_lets_exactly_those_changes_through,
    an_approval_lets_exactly_that_set_through,
}

const MIRROR: &str = "    safety: mirror\n    brake: {deletes: {count: 5, percent: 10}}";

/// Twenty customers with an order each, in sync.
async fn twenty(scene: &Scene, customers: &str) {
    scene.business(customers, "    safety: mirror").await;
    for n in 0..20 {
        scene.customer(&format!("{n}@x"), "Name").await;
    }
    scene.customer("keep@x", "Keep").await;
    scene
        .source
        .user("insert into orders (code, customer_id, cents) select 'o1', id, 1 from customer where email = 'keep@x'")
        .await;
    scene.sync().await;
}

async fn contacts(scene: &Scene) -> usize {
    rows(&scene.target, "select mail from contact").await.len()
}

/// Nothing of that collection is written, and other links go on.
pub async fn s4_53_an_emptied_side_stops_at_the_brake(scene: &Scene) {
    twenty(scene, MIRROR).await;
    scene.source.user("delete from customer where email <> 'keep@x'").await;
    scene.customer("new@x", "New").await;
    scene.source.user("update orders set cents = 2").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "deleted_target"), counts.of("customers", "created_target")), (0, 0));
    assert_eq!(counts.of("orders", "updated_target"), 1);
    assert_eq!(contacts(scene).await, 21);
    assert_eq!(rows(&scene.target, "select amount from deal").await, ["2"]);
    let status = scene.program.run(&["status"]).await.code(0);
    assert!(status.out.contains("BRAKE: 20 records gone of 21"), "{}", status.out);
    // What waits for the approval is in the plan: the new one, too.
    assert_eq!(Counts(scene.ask(&["plan"]).await).of("customers", "braked"), 21);
    // It stays so, run after run.
    assert_eq!(scene.sync().await.writes(), 0);
    assert_eq!(contacts(scene).await, 21);
}

pub async fn an_approval_lets_exactly_that_set_through(scene: &Scene) {
    twenty(scene, MIRROR).await;
    scene.source.user("delete from customer where email <> 'keep@x'").await;
    scene.customer("new@x", "New").await;
    scene.sync().await;
    scene.program.run(&["approve", "customers"]).await.code(0);
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "deleted_target"), counts.of("customers", "created_target")), (20, 1));
    assert_eq!(rows(&scene.target, "select mail from contact order by 1").await, ["keep@x", "new@x"]);
    scene.quiet().await;
    scene.program.run(&["approve", "customers"]).await.code(2);
}

pub async fn a_changed_set_needs_another_approval(scene: &Scene) {
    twenty(scene, MIRROR).await;
    scene.source.user("delete from customer where email like '1%'").await;
    scene.sync().await;
    scene.program.run(&["approve", "customers"]).await.code(0);
    // Before it is executed the row to be destroyed changes.
    scene.target.user("update contact set telephone = '5' where mail = '1@x'").await;
    assert_eq!(scene.sync().await.of("customers", "deleted_target"), 0);
    assert_eq!(contacts(scene).await, 21);
    scene.program.run(&["approve", "customers"]).await.code(0);
    // One more is deleted.
    scene.source.user("delete from customer where email = '2@x'").await;
    assert_eq!(scene.sync().await.of("customers", "deleted_target"), 0);
    assert_eq!(contacts(scene).await, 21);
    scene.program.run(&["approve", "customers"]).await.code(0);
    assert_eq!(scene.sync().await.of("customers", "deleted_target"), 12);
    assert_eq!(contacts(scene).await, 9);
    scene.quiet().await;
}

pub async fn below_the_limits_deletes_travel(scene: &Scene) {
    twenty(scene, MIRROR).await;
    scene.source.user("delete from customer where email in ('1@x', '2@x')").await;
    assert_eq!(scene.sync().await.of("customers", "deleted_target"), 2);
    // Over a day it adds up: salami slices trip it too.
    scene.source.user("delete from customer where email in ('3@x', '4@x', '5@x', '6@x')").await;
    assert_eq!(scene.sync().await.of("customers", "deleted_target"), 0);
    assert_eq!(contacts(scene).await, 19);
}

/// Rule 8: a pair that loses a side counts although nothing would be deleted.
pub async fn the_brake_counts_survivors_under_protect(scene: &Scene) {
    twenty(scene, "    brake: {deletes: {count: 5, percent: 10}}").await;
    scene.source.user("delete from customer where email <> 'keep@x'").await;
    scene.customer("new@x", "New").await;
    assert_eq!(scene.sync().await.writes(), 0);
    assert_eq!(contacts(scene).await, 21);
    scene.program.run(&["approve", "customers"]).await.code(0);
    scene.sync().await;
    assert_eq!(contacts(scene).await, 22);
    assert_eq!(scene.status("customers", "source_gone").await, 20);
    scene.quiet().await;
}

pub async fn a32_truncate_is_not_a_mass_delete_until_approved(scene: &Scene) {
    twenty(scene, MIRROR).await;
    scene.source.user("truncate customer cascade").await;
    assert_eq!(scene.sync().await.of("customers", "deleted_target"), 0);
    assert_eq!(contacts(scene).await, 21);
    let status = scene.program.run(&["status"]).await.code(0);
    assert!(status.out.contains("BRAKE"), "{}", status.out);
}

/// As many customers as there were, under the same keys, but others.
async fn others_under(scene: &Scene, keys: &[String]) {
    for key in keys {
        scene.source.user(&format!("insert into customer (id, email, name) values ({key}, 'other{key}@x', 'Other')")).await;
    }
}

/// The twins of those that were deleted stand until a person approves, whoever has their keys now.
pub async fn rule15_a_tripped_brake_holds_when_the_keys_are_used_again(scene: &Scene) {
    scene.customers(MIRROR).await;
    for n in 0..20 {
        scene.customer(&format!("{n}@x"), "Name").await;
    }
    scene.sync().await;
    let twins = rows(&scene.target, "select contact_no, mail from contact order by 1").await;
    let keys = rows(&scene.source, "select id from customer").await;
    scene.source.user("delete from customer").await;
    others_under(scene, &keys).await;
    for _ in 0..3 {
        assert_eq!(scene.sync().await.of("customers", "deleted_target"), 0);
        assert_eq!(rows(&scene.target, "select contact_no, mail from contact order by 1").await, twins);
    }
    let status = scene.program.run(&["status"]).await.code(0);
    assert!(status.out.contains("BRAKE: 20 records gone of 20"), "{}", status.out);
    scene.program.run(&["approve", "customers"]).await.code(0);
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "deleted_target"), counts.of("customers", "created_target")), (20, 20));
    assert_eq!(rows(&scene.target, "select full_name from contact where full_name <> 'Other'").await, [""; 0]);
    scene.quiet().await;
}

/// Nobody knows how many were lost before the table was compared.
pub async fn a12_an_emptied_table_with_other_records_under_its_keys_deletes_nothing_unasked(scene: &Scene) {
    scene.customers(MIRROR).await;
    for n in 0..20 {
        scene.customer(&format!("{n}@x"), "Name").await;
    }
    scene.sync().await;
    let keys = rows(&scene.source, "select id from customer").await;
    scene.source.user("truncate customer cascade").await;
    others_under(scene, &keys).await;
    for _ in 0..3 {
        assert_eq!(scene.sync().await.of("customers", "deleted_target"), 0);
        assert_eq!(named(scene, "Name").await, 20);
    }
    let status = scene.program.run(&["status"]).await.code(0);
    assert!(status.out.contains("BRAKE: 20 records gone of"), "{}", status.out);
    scene.program.run(&["approve", "customers"]).await.code(0);
    scene.sync().await;
    assert_eq!((named(scene, "Name").await, named(scene, "Other").await), (0, 20));
    scene.quiet().await;
}

/// What was kept under one policy is not deleted under the next, unless it is lost again.
pub async fn c3_a_kept_survivor_is_not_decided_again_because_its_key_is_used_again(scene: &Scene) {
    scene.customers("").await;
    scene.customer("old@x", "Old").await;
    scene.sync().await;
    let keys = rows(&scene.source, "select id from customer").await;
    scene.source.user("delete from customer").await;
    scene.sync().await;
    assert_eq!(named(scene, "Old").await, 1);
    // The new record under its key stands on the worklist: two contacts match it.
    scene.contact("other@x", "First").await;
    scene.sync().await;
    scene.link(&[("customers", &format!("{CUSTOMERS}    safety: mirror"))]);
    scene.source.user("delete from customer").await;
    scene.sync().await;
    others_under(scene, &keys).await;
    scene.program.run(&["resync", "full", "customers"]).await.code(0);
    scene.sync().await;
    assert_eq!(named(scene, "Old").await, 1);
}

const FEW_CHANGES: &str = "    brake: {changes: {count: 5, percent: 10}}";

/// How many contacts have the name.
async fn named(scene: &Scene, name: &str) -> usize {
    rows(&scene.target, &format!("select mail from contact where full_name = '{name}'")).await.len()
}

/// Not one of them is written; other links, and the other direction, go on.
pub async fn i6_a_mass_update_stops_at_the_brake_on_changes(scene: &Scene) {
    twenty(scene, FEW_CHANGES).await;
    scene.source.user("update customer set name = 'Broken' where email <> 'keep@x'").await;
    scene.source.user("update orders set cents = 2").await;
    let planned = Counts(scene.ask(&["plan"]).await);
    assert_eq!((planned.of("customers", "updated_target"), planned.of("customers", "braked")), (0, 20));
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "updated_target"), counts.of("orders", "updated_target")), (0, 1));
    assert_eq!(named(scene, "Broken").await, 0);
    let status = scene.program.run(&["status"]).await.code(0);
    assert!(status.out.contains("BRAKE: 20 changes of 21"), "{}", status.out);
    // It stays so, run after run.
    scene.target.user("update contact set telephone = '7' where mail = 'keep@x'").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "updated_target"), counts.of("customers", "updated_source")), (0, 1));
    assert_eq!(named(scene, "Broken").await, 0);
}

pub async fn an_approval_lets_exactly_those_changes_through(scene: &Scene) {
    twenty(scene, FEW_CHANGES).await;
    scene.source.user("update customer set name = 'Right' where email <> 'keep@x'").await;
    scene.sync().await;
    scene.program.run(&["approve", "customers"]).await.code(0);
    // A row that would be overwritten changes: that is another set.
    scene.target.user("update contact set telephone = '5' where mail = '1@x'").await;
    assert_eq!(scene.sync().await.of("customers", "updated_target"), 0);
    assert_eq!(named(scene, "Right").await, 0);
    scene.program.run(&["approve", "customers"]).await.code(0);
    // One that came after the approval is not in the set: it counts anew, and is few.
    scene.source.user("update customer set name = 'Right' where email = 'keep@x'").await;
    assert_eq!(scene.sync().await.of("customers", "updated_target"), 21);
    assert_eq!(named(scene, "Right").await, 21);
    // Six more are many.
    scene.source.user("update customer set name = 'Wrong' where email like '1%@x'").await;
    assert_eq!(scene.sync().await.of("customers", "updated_target"), 0);
    scene.source.user("update customer set name = 'Right'").await;
    scene.sync().await;
    scene.quiet().await;
    scene.program.run(&["approve", "customers"]).await.code(2);
}

pub async fn below_the_limits_changes_travel(scene: &Scene) {
    twenty(scene, FEW_CHANGES).await;
    scene.source.user("update customer set name = 'One' where email in ('1@x', '2@x', '3@x')").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "updated_target"), counts.of("customers", "braked")), (3, 0));
    scene.source.user("update customer set name = 'Two' where email in ('1@x', '2@x')").await;
    assert_eq!(scene.sync().await.of("customers", "updated_target"), 2);
    // Creates never count, however many.
    for n in 0..9 {
        scene.customer(&format!("more{n}@x"), "More").await;
    }
    assert_eq!(scene.sync().await.of("customers", "created_target"), 9);
    // Over a day it adds up.
    scene.source.user("update customer set name = 'Three' where email = '3@x'").await;
    assert_eq!(scene.sync().await.of("customers", "updated_target"), 0);
    assert_eq!(named(scene, "Three").await, 0);
}

/// What a compare finds comes page by page; no page is written before the last is counted.
pub async fn a_full_compare_counts_its_changes_before_it_writes_any(scene: &Scene) {
    twenty(scene, FEW_CHANGES).await;
    scene.unseen(&["update customer set name = 'Broken' where email <> 'keep@x'"]).await;
    scene.program.run(&["resync", "full"]).await.code(0);
    assert_eq!(named(scene, "Broken").await, 0);
    let status = scene.program.run(&["status"]).await.code(0);
    assert!(status.out.contains("BRAKE: 20 changes of 21"), "{}", status.out);
    scene.program.run(&["approve", "customers"]).await.code(0);
    assert_eq!(scene.sync().await.of("customers", "updated_target"), 20);
    scene.quiet().await;
}

pub async fn changes_are_free_once_their_brake_is_taken_away(scene: &Scene) {
    twenty(scene, FEW_CHANGES).await;
    scene.source.user("update customer set name = 'Right' where email <> 'keep@x'").await;
    scene.sync().await;
    assert_eq!(named(scene, "Right").await, 0);
    scene.link(&[("customers", CUSTOMERS), ("orders", ORDERS)]);
    assert_eq!(scene.sync().await.of("customers", "updated_target"), 20);
    scene.quiet().await;
}
