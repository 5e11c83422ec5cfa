//! Nobody ran for long: what waits in the logs.

use std::collections::BTreeSet;

use crate::scene::{CUSTOMERS, Counts, Scene, rows, scenarios};

scenarios! { sqlite_sqlite: a_backlog_above_log_max_becomes_a_full_compare, }
scenarios! { postgres_mysql: a_backlog_above_log_max_becomes_a_full_compare, }
scenarios! { mysql_sqlite: a_backlog_above_log_max_becomes_a_full_compare, }
scenarios! { mariadb_postgres: a_backlog_above_log_max_becomes_a_full_compare, }
scenarios! { postgres_mariadb: a_backlog_above_log_max_becomes_a_full_compare, }

/// Nothing is lost with the entries that are not read one by one, and what is evidence is read: a record whose key
/// changed keeps its twin, although no match rule could find it.
pub async fn a_backlog_above_log_max_becomes_a_full_compare(scene: &Scene) {
    scene.customers("").await;
    let link = format!("{CUSTOMERS}    safety: mirror");
    let links = [("customers", link.replace("    match: [email]\n", ""))];
    let links: Vec<(&str, &str)> = links.iter().map(|(name, link)| (*name, link.as_str())).collect();
    scene.configure("first_sync: auto\nlog_max: 100", &links);
    let people: Vec<String> = (1..=150).map(|id| format!("({id}, 'p{id}@x', 'P{id}')")).collect();
    scene.source.user(&format!("insert into customer (id, email, name) values {}", people.join(", "))).await;
    scene.sync().await;
    let twin = || async { rows(&scene.target, "select contact_no from contact where mail = 'p3@x'").await };
    let third = twin().await;

    scene.source.user("update customer set name = 'again' where id > 10").await;
    scene.source.user("delete from customer where id = 1").await;
    scene.source.user("delete from customer where id = 2").await;
    scene.source.user("update customer set id = 1003 where id = 3").await;
    scene.source.user("insert into customer (id, email, name) values (2000, 'later@x', 'Later')").await;
    scene.target.user("update contact set telephone = '007' where mail = 'p5@x'").await;
    let done = scene.program.run(&["run", "--once", "--json"]).await.code(0);
    assert!(done.err.contains("log_max") && done.err.contains("shop"), "{}", done.err);
    assert!(!done.err.contains("crm"), "its log is short: {}", done.err);
    let counts = Counts(done.json());
    assert_eq!((counts.of("customers", "created_target"), counts.of("customers", "deleted_target")), (1, 2));
    let there: BTreeSet<String> = rows(&scene.source, "select email, name, phone from customer").await.into_iter().collect();
    let here = rows(&scene.target, "select mail, full_name, telephone from contact").await.into_iter().collect();
    assert_eq!(there, here);
    assert!(there.contains("p5@x|P5|007") && there.contains("p20@x|again|NULL"));
    assert_eq!(twin().await, third);
    scene.quiet().await;
}
