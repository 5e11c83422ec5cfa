//! What was promised, where no other test says it in so many words.

use crate::program::until;
use crate::scene::{CUSTOMERS, Counts, ORDERS, Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    s1_2_s3_7_a_compare_brings_what_had_failed,
    s2_3_to_5_what_was_exchanged_stays_while_it_is_stopped,
    s2_21_a_delete_is_an_event_among_others,
    s3_1_a_run_asks_only_for_what_changed,
    s3_2_a_delete_that_no_log_tells_waits_for_a_compare,
    s3_8_and_9_a_compare_lists_both_sides_against_the_map,
    s3_11_an_inferred_delete_follows_the_options_of_its_link,
    s3_16_half_a_list_infers_no_delete,
    s3_17_each_link_has_pairs_and_policies_of_its_own,
    s4_6_generated_keys_stay_their_sides_own,
    s4_11_the_configuration_says_who_is_the_source,
    s4_14_without_a_conflict_both_sides_are_alike,
    s4_26_what_is_changed_during_a_run_is_not_lost,
    s4_36_s4_62_the_time_of_the_last_sync_is_taken_before_reading,
}

scenarios! { postgres_mysql:
    s1_2_s3_7_a_compare_brings_what_had_failed,
    s3_1_a_run_asks_only_for_what_changed,
    s3_16_half_a_list_infers_no_delete,
    s4_6_generated_keys_stay_their_sides_own,
    s4_14_without_a_conflict_both_sides_are_alike,
    s4_26_what_is_changed_during_a_run_is_not_lost,
}

scenarios! { mariadb_postgres:
    s4_6_generated_keys_stay_their_sides_own,
    s4_14_without_a_conflict_both_sides_are_alike,
    s4_26_what_is_changed_during_a_run_is_not_lost,
}

const MIRROR: &str = "    safety: mirror\n    brake: {deletes: off}";

async fn people(scene: &Scene, names: &[&str]) {
    for name in names {
        scene.customer(&format!("{name}@x"), name).await;
    }
    scene.sync().await;
}

/// (In no engine's order.)
fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort_unstable();
    rows
}

async fn source(scene: &Scene) -> Vec<String> {
    sorted(rows(&scene.source, "select email, name from customer").await)
}

async fn target(scene: &Scene) -> Vec<String> {
    sorted(rows(&scene.target, "select mail, full_name from contact").await)
}

async fn pairs(scene: &Scene) -> String {
    scene.ask(&["pairs", "customers"]).await.to_string()
}

async fn full(scene: &Scene) -> Counts {
    Counts(scene.program.run(&["resync", "full", "--json"]).await.code(0).json())
}

/// A unique value in the target keeps a record out until it is free again.
pub async fn s1_2_s3_7_a_compare_brings_what_had_failed(scene: &Scene) {
    scene.customers("").await;
    scene.target.user("create unique index one on contact (telephone)").await;
    scene.source.user("insert into customer (email, name, phone) values ('a@x', 'a', '1'), ('b@x', 'b', '1')").await;
    for _ in 0..3 {
        scene.sync().await;
    }
    assert_eq!(target(scene).await.len(), 1);
    assert_eq!(scene.status("customers", "held").await, 1);
    let on = if scene.target.url().starts_with("mysql") { " on contact" } else { "" };
    scene.target.user(&format!("drop index one{on}")).await;
    assert_eq!(full(scene).await.of("customers", "created_target"), 1);
    assert_eq!(target(scene).await, ["a@x|a", "b@x|b"]);
    assert_eq!(scene.status("customers", "held").await, 0);
    scene.quiet().await;
}

pub async fn s2_3_to_5_what_was_exchanged_stays_while_it_is_stopped(scene: &Scene) {
    scene.customers(MIRROR).await;
    people(scene, &["a", "b"]).await;
    let before = (source(scene).await, target(scene).await, pairs(scene).await);
    assert!(before.2.len() > 20, "{}", before.2);
    // Nobody runs it: what one side does stays there.
    scene.source.user("update customer set name = 'later' where email = 'a@x'").await;
    scene.source.user("delete from customer where email = 'b@x'").await;
    assert_eq!((target(scene).await, pairs(scene).await), (before.1, before.2));
    scene.sync().await;
    assert_eq!(target(scene).await, ["a@x|later"]);
}

/// It is shown before, counted after, and takes its turn: what followed it under the same email is another record.
pub async fn s2_21_a_delete_is_an_event_among_others(scene: &Scene) {
    scene.customers(MIRROR).await;
    people(scene, &["a", "b"]).await;
    let twin = rows(&scene.target, "select contact_no from contact where mail = 'b@x'").await;
    scene.source.user("update customer set name = 'first' where email = 'a@x'").await;
    scene.source.user("delete from customer where email = 'b@x'").await;
    scene.customer("c@x", "third").await;
    let plan = Counts(scene.ask(&["plan"]).await);
    let numbers =
        |counts: &Counts| ["updated_target", "deleted_target", "created_target"].map(|what| counts.of("customers", what));
    assert_eq!(numbers(&plan), [1, 1, 1]);
    assert_eq!(numbers(&scene.sync().await), [1, 1, 1]);
    assert_eq!(target(scene).await, ["a@x|first", "c@x|third"]);
    scene.customer("b@x", "again").await;
    scene.sync().await;
    assert_ne!(rows(&scene.target, "select contact_no from contact where mail = 'b@x'").await, twin);
}

pub async fn s3_1_a_run_asks_only_for_what_changed(scene: &Scene) {
    scene.customers("").await;
    for n in 0..300 {
        scene.customer(&format!("{n}@x"), "n").await;
    }
    scene.sync().await;
    scene.quiet().await;
    scene.source.user("update customer set name = 'changed' where email = '7@x'").await;
    let counts = scene.sync().await;
    assert_eq!(counts.of("customers", "updated_target"), 1);
    // The record, and the echo of what was written about it.
    assert!(counts.of("customers", "decided") <= 2 && counts.0["entries"].as_u64().unwrap() <= 2, "{counts:?}");
}

pub async fn s3_2_a_delete_that_no_log_tells_waits_for_a_compare(scene: &Scene) {
    scene.customers(MIRROR).await;
    people(scene, &["a", "b"]).await;
    scene.unseen(&["delete from customer where email = 'a@x'"]).await;
    assert_eq!(scene.sync().await.writes(), 0);
    assert_eq!(target(scene).await, ["a@x|a", "b@x|b"]);
    assert_eq!(full(scene).await.of("customers", "deleted_target"), 1);
    assert_eq!(target(scene).await, ["b@x|b"]);
}

/// Unknown on either side, gone on either side, changed on either side.
pub async fn s3_8_and_9_a_compare_lists_both_sides_against_the_map(scene: &Scene) {
    scene.customers(MIRROR).await;
    people(scene, &["a", "b", "c", "d"]).await;
    scene
        .unseen(&[
            "insert into customer (email, name) values ('new in the source', 's')",
            "delete from customer where email = 'a@x'",
            "update customer set name = 'changed' where email = 'b@x'",
        ])
        .await;
    let other = Scene { source: scene.target.clone(), target: scene.source.clone(), program: crate::program::Program::new("") };
    other
        .unseen_in(
            "contact",
            &[
                "insert into contact (mail, full_name) values ('new in the target', 't')",
                "delete from contact where mail = 'c@x'",
                "update contact set full_name = 'changed' where mail = 'd@x'",
            ],
        )
        .await;
    assert_eq!(scene.sync().await.writes(), 0);
    let counts = full(scene).await;
    let both = |what: &str| ["source", "target"].map(|side| counts.of("customers", &format!("{what}_{side}")));
    assert_eq!([both("created"), both("updated"), both("deleted")], [[1, 1]; 3]);
    let all = ["b@x|changed", "d@x|changed", "new in the source|s", "new in the target|t"];
    assert_eq!((source(scene).await, target(scene).await), (all.map(String::from).to_vec(), all.map(String::from).to_vec()));
}

pub async fn s3_11_an_inferred_delete_follows_the_options_of_its_link(scene: &Scene) {
    scene.customers("").await;
    for (policy, left, back) in [("keep", 1, 0), ("recreate", 1, 1), ("delete", 0, 0)] {
        let email = format!("{policy}@x");
        scene.link(&[("customers", &format!("{CUSTOMERS}    deletes: {policy}\n    brake: {{deletes: off}}"))]);
        scene.customer(&email, policy).await;
        scene.sync().await;
        scene.unseen(&[&format!("delete from customer where email = '{email}'")]).await;
        full(scene).await;
        let there = |lab, table: &str, column: &str| {
            let sql = format!("select {column} from {table} where {column} = '{email}'");
            async move { rows(lab, &sql).await.len() }
        };
        assert_eq!(there(&scene.target, "contact", "mail").await, left, "{policy}");
        assert_eq!(there(&scene.source, "customer", "email").await, back, "{policy}");
    }
}

/// Killed in the middle of its list, a compare has deleted nothing; the next run ends it.
pub async fn s3_16_half_a_list_infers_no_delete(scene: &Scene) {
    scene.customers(MIRROR).await;
    let mut tx = scene.source.open().await;
    for n in 0..45 {
        let values: Vec<String> = (0..100).map(|i| format!("('{:04}@x', 'n')", n * 100 + i)).collect();
        tx.run(&format!("insert into customer (email, name) values {}", values.join(", "))).await;
    }
    tx.commit().await;
    scene.sync().await;
    assert_eq!(target(scene).await.len(), 4500);
    scene.unseen(&["delete from customer where email < '2250'"]).await;
    let mut child = scene.program.start(&["resync", "full"], Some("scan.recorded:2"));
    assert!(!child.wait().await.unwrap().success());
    assert_eq!(target(scene).await.len(), 4500, "half a list took records away");
    for _ in 0..2 {
        scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    }
    assert_eq!(target(scene).await.len(), 2250);
    scene.quiet().await;
}

pub async fn s3_17_each_link_has_pairs_and_policies_of_its_own(scene: &Scene) {
    scene.business("", "    deletes: delete").await;
    people(scene, &["a", "b"]).await;
    scene.source.user("insert into orders (code, customer_id, cents) select 'o-' || name, id, 1 from customer").await;
    scene.sync().await;
    scene.source.user("delete from orders").await;
    scene.source.user("delete from customer").await;
    scene.sync().await;
    // The orders are deleted, the customers survive; what one link has read says nothing of the other.
    assert_eq!(rows(&scene.target, "select ref from deal").await, [""; 0]);
    assert_eq!(target(scene).await, ["a@x|a", "b@x|b"]);
    assert_eq!((scene.status("customers", "source_gone").await, scene.status("orders", "source_gone").await), (2, 0));
    scene.link(&[("customers", CUSTOMERS), ("orders", &format!("{ORDERS}    deletes: delete"))]);
    scene.quiet().await;
}

pub async fn s4_6_generated_keys_stay_their_sides_own(scene: &Scene) {
    scene.customers("").await;
    people(scene, &["a"]).await;
    scene.contact("b@x", "b").await;
    scene.sync().await;
    let [of_source, of_target] = [
        rows(&scene.source, "select email, id from customer order by email").await,
        rows(&scene.target, "select mail, contact_no from contact order by mail").await,
    ];
    assert_eq!((of_source.len(), of_target.len()), (2, 2));
    assert!(of_source.iter().all(|row| !of_target.contains(row)), "a key was copied: {of_source:?} {of_target:?}");
    // The generator goes on where it was: the application's next row gets a key of its own.
    scene.customer("c@x", "c").await;
    scene.contact("d@x", "d").await;
    scene.sync().await;
    assert_eq!(source(scene).await, target(scene).await);
    assert_eq!(source(scene).await.len(), 4);
    scene.quiet().await;
}

pub async fn s4_11_the_configuration_says_who_is_the_source(scene: &Scene) {
    scene.customers("").await;
    let config = format!(
        "integration: turned\nendpoints:\n  shop: {{url: \"{}\"}}\n  crm: {{url: \"{}\"}}\nsource: crm\ntarget: shop\nfirst_sync: auto\n\
         links:\n  people:\n    source: contact\n    target: customer\n    match: [mail]\n    \
         fields: {{mail: email, full_name: name}}\n",
        scene.source.url(),
        scene.target.url()
    );
    scene.program.configure(&config);
    scene.customer("a@x", "a").await;
    scene.sync().await;
    scene.source.user("update customer set name = 'from the shop'").await;
    scene.target.user("update contact set full_name = 'from the crm'").await;
    scene.sync().await;
    assert_eq!((source(scene).await, target(scene).await), (vec!["a@x|from the crm".into()], vec!["a@x|from the crm".into()]));
}

pub async fn s4_14_without_a_conflict_both_sides_are_alike(scene: &Scene) {
    scene.customers(MIRROR).await;
    people(scene, &["a", "b", "c", "d"]).await;
    scene.customer("s@x", "s").await;
    scene.contact("t@x", "t").await;
    scene.source.user("update customer set name = 'changed' where email = 'a@x'").await;
    scene.target.user("update contact set full_name = 'changed' where mail = 'b@x'").await;
    scene.source.user("delete from customer where email = 'c@x'").await;
    scene.target.user("delete from contact where mail = 'd@x'").await;
    let counts = scene.sync().await;
    let both = |what: &str| ["source", "target"].map(|side| counts.of("customers", &format!("{what}_{side}")));
    assert_eq!([both("created"), both("updated"), both("deleted")], [[1, 1]; 3]);
    assert_eq!(counts.of("customers", "conflicts"), 0);
    assert_eq!(source(scene).await, ["a@x|changed", "b@x|changed", "s@x|s", "t@x|t"]);
    assert_eq!(source(scene).await, target(scene).await);
    scene.quiet().await;
}

/// Both applications write while it runs.
pub async fn s4_26_what_is_changed_during_a_run_is_not_lost(scene: &Scene) {
    scene.customers("").await;
    people(scene, &["a"]).await;
    let mut child = scene.program.start(&["run"], None);
    until("it runs", || async { scene.program.log().contains("both runs") }).await;
    for n in 0..60 {
        scene.customer(&format!("s{n}@x"), "new").await;
        scene.contact(&format!("t{n}@x"), "new").await;
        scene.source.user(&format!("update customer set name = 'by the shop {n}' where email = 's{}@x'", n / 2)).await;
        scene.target.user(&format!("update contact set full_name = 'by the crm {n}' where mail = 't{}@x'", n / 2)).await;
    }
    until("both sides are alike", || async {
        let (source, target) = (source(scene).await, target(scene).await);
        source.len() == 121 && source == target
    })
    .await;
    let all = source(scene).await;
    assert!(all.contains(&"s29@x|by the shop 59".to_owned()) && all.contains(&"t29@x|by the crm 59".to_owned()), "{all:?}");
    child.start_kill().unwrap();
    child.wait().await.unwrap();
}

/// A run that dies while it reads has set it already; one that ends has not moved it.
pub async fn s4_36_s4_62_the_time_of_the_last_sync_is_taken_before_reading(scene: &Scene) {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let last = || async {
        let status = scene.ask(&["status"]).await;
        status["settings"]["last_sync_time"].as_str().map(|time| time.parse::<u64>().unwrap())
    };
    scene.customers("").await;
    let began = now();
    people(scene, &["a"]).await;
    let first = last().await.unwrap();
    assert!((began..=now()).contains(&first), "{began} {first}");
    until("a second has passed", || async { now() > first }).await;
    let began = now();
    scene.customer("b@x", "b").await;
    let mut child = scene.program.start(&["run", "--once"], Some("capture.opened:1"));
    assert!(!child.wait().await.unwrap().success());
    let second = last().await.unwrap();
    assert!(second >= began && second > first, "{first} {began} {second}");
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    assert_eq!(target(scene).await, ["a@x|a", "b@x|b"]);
}
