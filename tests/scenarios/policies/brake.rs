//! Too much at once: stop and ask.

use crate::scene::{Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    s4_53_an_emptied_side_stops_at_the_brake,
    an_approval_lets_exactly_that_set_through,
    a_changed_set_needs_another_approval,
    below_the_limits_deletes_travel,
    the_brake_counts_survivors_under_protect,
}

scenarios! { postgres_sqlite:
    s4_53_an_emptied_side_stops_at_the_brake,
    a32_truncate_is_not_a_mass_delete_until_approved,
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
