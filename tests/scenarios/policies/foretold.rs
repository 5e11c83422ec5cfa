//! What `plan` says, the run then does.

use std::collections::{BTreeMap, BTreeSet};

use crate::scene::{CUSTOMERS, Counts, Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    s4_53_a_plan_foresees_the_brake_of_either_side,
    rule15_a_plan_knows_what_was_approved,
    i6_a_plan_foresees_the_brake_on_changes,
    rule18_a_plan_foresees_whose_children_a_brake_keeps,
    a_plan_of_few_deletes_foresees_no_brake,
    a_plan_foresees_what_is_kept_under_protect,
    a_plan_shows_what_is_left_as_it_stands,
    a12_a_plan_foresees_what_a_compare_will_miss,
    c15_a_plan_foresees_rings_and_deep_trees,
    c15_a_ring_that_was_deleted_is_made_again,
}

scenarios! { postgres_mysql:
    s4_53_a_plan_foresees_the_brake_of_either_side,
    rule15_a_plan_knows_what_was_approved,
    i6_a_plan_foresees_the_brake_on_changes,
    rule18_a_plan_foresees_whose_children_a_brake_keeps,
    a_plan_shows_what_is_left_as_it_stands,
    a32_a_plan_foresees_the_brake_of_a_truncated_table,
    a12_a_plan_foresees_what_a_compare_will_miss,
    c15_a_plan_foresees_rings_and_deep_trees,
    c15_a_ring_that_was_deleted_is_made_again,
}

scenarios! { mariadb_postgres:
    s4_53_a_plan_foresees_the_brake_of_either_side,
    rule15_a_plan_knows_what_was_approved,
    i6_a_plan_foresees_the_brake_on_changes,
    rule18_a_plan_foresees_whose_children_a_brake_keeps,
    c15_a_plan_foresees_rings_and_deep_trees,
}

const FEW: &str = "    safety: mirror\n    brake: {deletes: {count: 5, percent: 10}}";

/// Twenty customers with an order each, in sync; `customers` and `orders` add to these links.
async fn twenty(scene: &Scene, customers: &str, orders: &str) {
    scene.business(customers, orders).await;
    for n in 10..30 {
        scene.customer(&format!("{n}@x"), "Name").await;
    }
    scene.source.user("insert into orders (code, customer_id, cents) select email, id, 1 from customer").await;
    scene.sync().await;
}

/// What a plan and a run say of each link, but for how often a record was looked at.
fn told(counts: &Counts) -> BTreeMap<String, BTreeMap<String, u64>> {
    let links = counts.0["links"].as_object().unwrap();
    let numbers = |counts: &serde_json::Value| {
        let all = counts.as_object().unwrap().iter().filter_map(|(name, n)| Some((name.clone(), n.as_u64()?)));
        all.filter(|(name, n)| *n > 0 && name != "decided").collect::<BTreeMap<_, _>>()
    };
    let told = links.iter().map(|(link, counts)| (link.clone(), numbers(counts)));
    told.filter(|(_, numbers)| !numbers.is_empty()).collect()
}

/// Plans, and runs: both say the same, and no record is named twice.
async fn foretold(scene: &Scene) -> Counts {
    let plan = Counts(scene.ask(&["plan"]).await);
    for (link, counts) in plan.0["links"].as_object().unwrap() {
        let samples = counts["samples"].as_object().into_iter().flat_map(|samples| samples.values());
        let samples: Vec<String> =
            samples.flat_map(|some| some.as_array().unwrap()).map(|one| format!("{} {}", one["side"], one["key"])).collect();
        assert_eq!(samples.len(), samples.iter().collect::<BTreeSet<_>>().len(), "{link}: {samples:?}");
    }
    let run = scene.sync().await;
    assert_eq!(told(&plan), told(&run), "planned {plan:?}, ran {run:?}");
    plan
}

/// Situations that a plan has samples of.
fn situations(plan: &Counts, link: &str) -> Vec<String> {
    plan.0["links"][link]["samples"].as_object().map_or_else(Vec::new, |all| all.keys().cloned().collect())
}

/// Nothing of the link is written to that side, the other side and other links go on.
pub async fn s4_53_a_plan_foresees_the_brake_of_either_side(scene: &Scene) {
    twenty(scene, FEW, "    safety: mirror").await;
    scene.source.user("delete from orders where code like '1%'").await;
    scene.source.user("delete from customer where email like '1%'").await;
    scene.customer("new@x", "New").await;
    scene.target.user("update contact set telephone = '7' where mail = '20@x'").await;
    let plan = foretold(scene).await;
    assert_eq!((plan.of("customers", "braked"), plan.of("customers", "updated_source")), (11, 1), "{plan:?}");
    assert_eq!((plan.of("customers", "deleted_target"), plan.of("orders", "deleted_target")), (0, 10));
    assert!(situations(&plan, "customers").contains(&"source gone".to_owned()), "{plan:?}");
    assert!(!situations(&plan, "customers").contains(&"undecided".to_owned()), "{plan:?}");
    // It stays so, and `status` says the same.
    let plan = foretold(scene).await;
    assert_eq!((plan.of("customers", "braked"), scene.status("customers", "braked").await), (11, 11));
    // Now the other side as well.
    scene.target.user("delete from deal where ref like '2%'").await;
    scene.target.user("delete from contact where mail like '2%'").await;
    let plan = foretold(scene).await;
    assert_eq!((plan.of("customers", "braked"), plan.of("orders", "deleted_source")), (21, 10), "{plan:?}");
    assert_eq!(rows(&scene.source, "select count(*) from customer").await, ["11"]);
    assert_eq!(rows(&scene.target, "select count(*) from contact").await, ["10"]);
}

/// Twelve wait. What was approved of them is void when a row that would be written changes; then they are approved as they are.
async fn approved_at_last(scene: &Scene) -> Counts {
    scene.program.run(&["approve", "customers"]).await.code(0);
    scene.target.user("update contact set telephone = '5' where mail = '11@x'").await;
    assert_eq!(foretold(scene).await.of("customers", "braked"), 12);
    scene.program.run(&["approve", "customers"]).await.code(0);
    foretold(scene).await
}

pub async fn rule15_a_plan_knows_what_was_approved(scene: &Scene) {
    twenty(scene, FEW, "    safety: mirror").await;
    scene.source.user("delete from orders where code like '1%'").await;
    scene.source.user("delete from customer where email like '1%'").await;
    scene.customer("new@x", "New").await;
    foretold(scene).await;
    scene.program.run(&["approve", "customers"]).await.code(0);
    // One more joins the set: nothing is approved.
    scene.source.user("delete from orders where code = '20@x'").await;
    scene.source.user("delete from customer where email = '20@x'").await;
    assert_eq!(foretold(scene).await.of("customers", "braked"), 12);
    let plan = approved_at_last(scene).await;
    let of = ["deleted_target", "created_target", "braked"].map(|what| plan.of("customers", what));
    assert_eq!(of, [11, 1, 0], "{plan:?}");
    scene.quiet().await;
}

pub async fn i6_a_plan_foresees_the_brake_on_changes(scene: &Scene) {
    twenty(scene, "    safety: mirror\n    brake: {changes: {count: 5, percent: 10}}", "    safety: mirror").await;
    scene.source.user("update customer set name = 'Broken' where email like '1%'").await;
    scene.source.user("delete from orders where code = '20@x'").await;
    scene.source.user("delete from customer where email = '20@x'").await;
    scene.customer("new@x", "New").await;
    let plan = foretold(scene).await;
    assert_eq!((plan.of("customers", "updated_target"), plan.of("customers", "created_target")), (0, 1), "{plan:?}");
    // (A delete comes after the changes were counted.)
    assert_eq!(plan.of("customers", "braked"), 11, "{plan:?}");
    // It holds whatever would be written there from now on.
    scene.customer("later@x", "Later").await;
    assert_eq!(foretold(scene).await.of("customers", "braked"), 12);
    let plan = approved_at_last(scene).await;
    let of = ["updated_target", "created_target", "deleted_target", "braked"].map(|what| plan.of("customers", what));
    assert_eq!(of, [10, 1, 1, 0], "{plan:?}");
    // Few changes travel.
    scene.source.user("update customer set name = 'Right' where email in ('11@x', '12@x')").await;
    assert_eq!(foretold(scene).await.of("customers", "updated_target"), 2);
    scene.quiet().await;
}

/// The orders are many, their customers few; and a customer goes after its orders.
pub async fn rule18_a_plan_foresees_whose_children_a_brake_keeps(scene: &Scene) {
    twenty(scene, "    safety: mirror\n    brake: {deletes: {count: 9, percent: 10}}", FEW).await;
    scene.source.user("delete from orders where code like '1%' and code <> '19@x'").await;
    scene.source.user("delete from customer where email like '1%' and email <> '19@x'").await;
    let plan = foretold(scene).await;
    assert_eq!((plan.of("orders", "braked"), plan.of("customers", "held")), (9, 9), "{plan:?}");
    assert_eq!((plan.of("orders", "deleted_target"), plan.of("customers", "deleted_target")), (0, 0), "{plan:?}");
    scene.program.run(&["approve", "orders"]).await.code(0);
    scene.program.run(&["held", "retry"]).await.code(0);
    let plan = foretold(scene).await;
    assert_eq!((plan.of("orders", "deleted_target"), plan.of("customers", "deleted_target")), (9, 9), "{plan:?}");
    scene.quiet().await;
}

pub async fn a_plan_of_few_deletes_foresees_no_brake(scene: &Scene) {
    twenty(scene, FEW, "    safety: mirror").await;
    scene.source.user("delete from orders where code in ('10@x', '11@x')").await;
    scene.source.user("delete from customer where email in ('10@x', '11@x')").await;
    let plan = foretold(scene).await;
    assert_eq!((plan.of("customers", "deleted_target"), plan.of("customers", "braked")), (2, 0), "{plan:?}");
    // Over a day it adds up.
    scene.source.user("delete from orders where code in ('12@x', '13@x', '14@x', '15@x')").await;
    scene.source.user("delete from customer where email in ('12@x', '13@x', '14@x', '15@x')").await;
    let plan = foretold(scene).await;
    assert_eq!((plan.of("customers", "deleted_target"), plan.of("customers", "braked")), (0, 4), "{plan:?}");
    // What is gone on both sides needs no word.
    scene.target.user("delete from contact where mail = '12@x'").await;
    foretold(scene).await;
}

pub async fn a_plan_foresees_what_is_kept_under_protect(scene: &Scene) {
    scene.customers("    brake: {deletes: {count: 5, percent: 10}}").await;
    for n in 10..30 {
        scene.customer(&format!("{n}@x"), "Name").await;
    }
    scene.sync().await;
    scene.source.user("delete from customer where email in ('20@x', '21@x')").await;
    let plan = foretold(scene).await;
    assert_eq!((plan.of("customers", "kept"), plan.of("customers", "braked")), (2, 0), "{plan:?}");
    scene.source.user("delete from customer where email like '1%'").await;
    scene.customer("new@x", "New").await;
    let plan = foretold(scene).await;
    assert_eq!((plan.of("customers", "kept"), plan.of("customers", "braked")), (0, 11), "{plan:?}");
    scene.program.run(&["approve", "customers"]).await.code(0);
    let plan = foretold(scene).await;
    assert_eq!((plan.of("customers", "kept"), plan.of("customers", "created_target")), (10, 1), "{plan:?}");
    scene.quiet().await;
}

/// Each record once, whether it was tried again or not, and as `status` shows it.
pub async fn a_plan_shows_what_is_left_as_it_stands(scene: &Scene) {
    scene.business("", "").await;
    // Two that match one, in whichever order they come, and an order of one of them.
    scene.contact("a@x", "Ada").await;
    scene.source.user("drop table orders").await;
    scene.source.user("drop table customer").await;
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    scene.source.user(&format!("create table customer (id {key}, email {text} not null, name {text}, phone {text})")).await;
    let orders =
        format!("create table orders (id {key}, code {text} not null unique, customer_id bigint not null, cents bigint)");
    scene.source.user(&orders).await;
    scene.customer("a@x", "Ada").await;
    scene.customer("a@x", "Other").await;
    scene.source.user("insert into orders (code, customer_id, cents) select 'o1', min(id), 1 from customer").await;
    let plan = foretold(scene).await;
    let left = [plan.of("customers", "held"), plan.of("orders", "waiting")];
    assert!(left[0] > 0 && left[1] == 1, "{plan:?}");
    // Nothing is due, and one of them is named again.
    scene.source.user("update customer set phone = '1' where name = 'Other'").await;
    let plan = foretold(scene).await;
    assert_eq!([plan.of("customers", "held"), plan.of("orders", "waiting")], left, "{plan:?}");
    assert_eq!([scene.status("customers", "held").await, scene.status("orders", "waiting").await], left);
}

pub async fn a32_a_plan_foresees_the_brake_of_a_truncated_table(scene: &Scene) {
    twenty(scene, FEW, FEW).await;
    scene.source.user("truncate customer cascade").await;
    let plan = foretold(scene).await;
    assert_eq!((plan.of("customers", "braked"), plan.of("orders", "braked")), (20, 20), "{plan:?}");
    assert_eq!(rows(&scene.target, "select count(*) from contact").await, ["20"]);
}

/// What no log tells of is counted by the compare, before any of it is written.
pub async fn a12_a_plan_foresees_what_a_compare_will_miss(scene: &Scene) {
    scene.customers(FEW).await;
    for n in 10..30 {
        scene.customer(&format!("{n}@x"), "Name").await;
    }
    scene.sync().await;
    scene.unseen(&["delete from customer where email like '1%'"]).await;
    scene.source.user("delete from customer where email = '20@x'").await;
    scene.customer("new@x", "New").await;
    // Another configuration: all records are compared.
    let blank = format!("{CUSTOMERS}{FEW}").replace("phone: telephone", "phone: {to: telephone, blanks: keep}");
    scene.link(&[("customers", &blank)]);
    let plan = foretold(scene).await;
    let of = ["braked", "deleted_target", "created_target"].map(|what| plan.of("customers", what));
    // (Nobody knew when that one was made.)
    assert_eq!(of, [11, 0, 1], "{plan:?}");
    scene.program.run(&["approve", "customers"]).await.code(0);
    assert_eq!(foretold(scene).await.of("customers", "deleted_target"), 11);
    scene.quiet().await;
}

/// Records that refer to others of their own table, and leaves of them.
async fn nodes(scene: &Scene, policies: &str) {
    for (lab, [node, leaf], first) in [(&scene.source, ["node", "leaf"], 1), (&scene.target, ["knot", "bud"], 70_000)] {
        let (key, text) = (lab.dialect().generated_key, lab.dialect().text);
        let reference = format!("foreign key (above) references {node} (id)");
        lab.user(&format!("create table {node} (id {key}, name {text}, above bigint, {reference})")).await;
        lab.user(&format!("create table {leaf} (id {key}, name {text}, above bigint not null, {reference})")).await;
        if first > 1 {
            lab.user(&format!("insert into {node} (id, name) values ({first}, 'x')")).await;
            lab.user(&format!("delete from {node}")).await;
        }
    }
    let fields = format!("{policies}    fields: {{name: name, above: {{to: above, via: nodes}}}}");
    let [node, leaf] = [("node", "knot"), ("leaf", "bud")].map(|(s, t)| format!("    source: {s}\n    target: {t}\n{fields}"));
    scene.link(&[("nodes", &node), ("leaves", &leaf)]);
    scene.sync().await;
}

/// More levels, and more records that wait for each other, than are looked at for one batch.
pub async fn c15_a_plan_foresees_rings_and_deep_trees(scene: &Scene) {
    nodes(scene, "").await;
    let mut tx = scene.source.open().await;
    // A chain of 60 with its leaf first, 60 rings of two, one that refers to itself, and one that hangs on a ring.
    for id in 1..=182 {
        tx.run(&format!("insert into node (id, name) values ({id}, 'n{id}')")).await;
    }
    tx.run("update node set above = id + 1 where id < 60").await;
    tx.run("update node set above = id + 60 where id > 60 and id <= 120").await;
    tx.run("update node set above = id - 60 where id > 120 and id <= 180").await;
    tx.run("update node set above = id where id = 181").await;
    tx.run("update node set above = 61 where id = 182").await;
    for (name, above) in [("deep", 1), ("in a ring", 120), ("on a ring", 182)] {
        tx.run(&format!("insert into leaf (name, above) values ('{name}', {above})")).await;
    }
    tx.commit().await;
    let plan = Counts(scene.ask(&["plan"]).await);
    let of = |link: &str| ["created_target", "updated_target", "waiting"].map(|what| plan.of(link, what));
    assert_eq!((of("nodes"), of("leaves")), ([182, 121, 0], [3, 0, 0]), "{plan:?}");
    // (On a slow machine a chain may take a second run.)
    let mut written = [[0; 2]; 2];
    for _ in 0..10 {
        let run = scene.sync().await;
        for (link, sums) in ["nodes", "leaves"].into_iter().zip(&mut written) {
            ["created_target", "updated_target"].into_iter().zip(sums).for_each(|(what, sum)| *sum += run.of(link, what));
        }
        if run.all()["waiting"] + run.all()["busy"] == 0 {
            break;
        }
        scene.program.run(&["held", "retry"]).await.code(0);
    }
    assert_eq!(written, [[182, 121], [3, 0]]);
    let above = "select count(*) from knot k join knot a on a.id = k.above join bud b on b.above in (k.id, a.id)";
    assert_ne!(rows(&scene.target, above).await, ["0"]);
    scene.quiet().await;
}

/// Two that refer to each other, one that refers to itself, and what hangs on them.
pub async fn c15_a_ring_that_was_deleted_is_made_again(scene: &Scene) {
    nodes(scene, "    safety: mirror\n    deletes: recreate\n").await;
    let mut tx = scene.source.open().await;
    for id in 1..=4 {
        tx.run(&format!("insert into node (id, name) values ({id}, 'n{id}')")).await;
    }
    for (id, above) in [(1, 2), (2, 1), (3, 3), (4, 1)] {
        tx.run(&format!("update node set above = {above} where id = {id}")).await;
    }
    tx.run("insert into leaf (name, above) values ('of a ring', 2), ('of what hangs on one', 4)").await;
    tx.commit().await;
    scene.sync().await;
    let tree = "select k.name, a.name from knot k join knot a on a.id = k.above order by k.name";
    let leaves = "select b.name, k.name from bud b join knot k on k.id = b.above order by b.name";
    let before = [rows(&scene.target, tree).await, rows(&scene.target, leaves).await];
    assert_eq!((before[0].len(), before[1].len()), (4, 2));
    let mut tx = scene.target.open().await;
    for statement in ["delete from bud", "update knot set above = null", "delete from knot"] {
        tx.run(statement).await;
    }
    tx.commit().await;
    let plan = foretold(scene).await;
    let of = |link: &str| ["created_target", "updated_target", "waiting"].map(|what| plan.of(link, what));
    assert_eq!((of("nodes"), of("leaves")), ([4, 3, 0], [2, 0, 0]), "{plan:?}");
    assert_eq!([rows(&scene.target, tree).await, rows(&scene.target, leaves).await], before);
    scene.quiet().await;
}
