//! A full compare while nobody stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::scene::{CUSTOMERS, Counts, Scene, rows, scenarios};
use crate::support::Lab;

scenarios! { mysql_sqlite: a35_what_a_temporary_table_catches_is_found_by_a_compare, }
scenarios! { postgres_sqlite: i4_a_column_that_gets_another_type_is_compared, }
scenarios! { postgres_postgres: i4_a_column_that_gets_another_type_is_compared, }
scenarios! { mariadb_sqlite: a35_what_a_temporary_table_catches_is_found_by_a_compare, }

/// More than one page of the compare.
const PEOPLE: u32 = 2_500;

async fn fill(lab: &Arc<dyn Lab>) {
    let mut tx = lab.open().await;
    for low in (0..PEOPLE).step_by(500) {
        let values: Vec<String> = (low..low + 500).map(|n| format!("('p{n:04}@x', 'n')")).collect();
        tx.run(&format!("insert into customer (email, name) values {}", values.join(", "))).await;
    }
    tx.commit().await;
}

/// Writes until told to stop; how many records it made.
async fn write(stop: &AtomicBool, statement: impl Fn(u32) -> [String; 2], lab: &Arc<dyn Lab>) -> u32 {
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        for sql in statement(n) {
            lab.user(&sql).await;
        }
        n += 1;
        // The pace of an application, not a wait for anything.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    n
}

/// What no log tells is found, what is written meanwhile arrives, and neither undoes the other.
pub async fn s1_10_a_full_compare_while_both_sides_are_written(scene: &Scene) {
    scene.customers("").await;
    scene.link(&[("customers", &format!("{CUSTOMERS}    safety: mirror\n    conflict: merge\n    brake: {{deletes: off}}\n"))]);
    fill(&scene.source).await;
    scene.sync().await;
    scene
        .unseen(&[
            "update customer set phone = 'unseen' where email like 'p%7@x'",
            "delete from customer where email like 'p%99@x'",
            "insert into customer (email, name) values ('unseen@x', 'unseen')",
        ])
        .await;
    let done = scene.program.run(&["run", "--once", "--json"]).await.code(0);
    assert_eq!(Counts(done.json()).writes(), 0, "a log tells of it: {}", done.err);
    let stop = AtomicBool::new(false);
    let shop = |n| {
        let name = format!("update customer set name = 'shop {n}' where email = 'p{:04}@x'", n * 10 + 7);
        [format!("insert into customer (email, name) values ('s{n}@x', 'shop')"), name]
    };
    let crm = |n| {
        let name = format!("update contact set full_name = 'crm {n}' where mail = 'p{:04}@x'", n * 10 + 3);
        [format!("insert into contact (mail, full_name) values ('t{n}@x', 'crm')"), name]
    };
    let compare = async {
        let done = scene.program.run(&["resync", "full", "--json"]).await.code(0);
        stop.store(true, Ordering::Relaxed);
        Counts(done.json())
    };
    let (counts, sold, called) = tokio::join!(compare, write(&stop, shop, &scene.source), write(&stop, crm, &scene.target));
    assert!(sold > 3 && called > 3, "nobody wrote: {sold}, {called}");
    assert_eq!(counts.of("customers", "deleted_target"), 25);
    scene.sync().await;
    scene.sync().await;
    let mut source = rows(&scene.source, "select email, name, phone from customer").await;
    let mut target = rows(&scene.target, "select mail, full_name, telephone from contact").await;
    // (In no engine's order.)
    source.sort();
    target.sort();
    assert_eq!(source, target);
    let expected = PEOPLE - 25 + 1 + sold + called;
    assert_eq!(source.len(), expected as usize);
    let unseen = source.iter().filter(|row| row.ends_with("|unseen")).count();
    assert_eq!(unseen, 250, "what no log told");
    let named = |by: &str| source.iter().filter(|row| row.split('|').nth(1).unwrap().starts_with(&format!("{by} "))).count();
    let within = |n: u32| n.min(PEOPLE / 10) as usize;
    assert_eq!((named("shop"), named("crm")), (within(sold), within(called)));
    scene.quiet().await;
}

/// There, a temporary table stands before any other of its name, in the triggers of its session too.
pub async fn a35_what_a_temporary_table_catches_is_found_by_a_compare(scene: &Scene) {
    scene.customers("").await;
    scene.link(&[("customers", &format!("{CUSTOMERS}    safety: mirror\n    brake: {{deletes: off}}\n"))]);
    scene.source.user("insert into customer (email, name) values ('a@x', 'a'), ('b@x', 'b')").await;
    scene.sync().await;
    let ours = "select table_name from information_schema.tables where table_schema = database() and table_name like 'twinrow%'";
    let ours = rows(&scene.source, ours).await;
    assert!(ours.len() > 3, "{ours:?}");
    let mut hostile = scene.source.open().await;
    for table in ours {
        hostile.run(&format!("create temporary table mine like `{table}`")).await;
        hostile.run(&format!("alter table mine rename to `{table}`")).await;
    }
    hostile.run("update customer set name = 'caught' where email = 'a@x'").await;
    hostile.run("delete from customer where email = 'b@x'").await;
    hostile.commit().await;
    // What other sessions do is told all the same.
    scene.customer("c@x", "c").await;
    assert_eq!(scene.sync().await.of("customers", "created_target"), 1);
    let counts = Counts(scene.program.run(&["resync", "full", "--json"]).await.code(0).json());
    assert_eq!((counts.of("customers", "updated_target"), counts.of("customers", "deleted_target")), (1, 1), "{counts:?}");
    assert_eq!(rows(&scene.target, "select mail, full_name from contact order by mail").await, ["a@x|caught", "c@x|c"]);
    scene.quiet().await;
}

/// A column gets a wider type, in which the values are the same; later one in which they are not, and no log tells.
pub async fn i4_a_column_that_gets_another_type_is_compared(scene: &Scene) {
    let ([own, other], text) =
        ([&scene.source, &scene.target].map(|lab| lab.dialect().generated_key), scene.source.dialect().text);
    scene.source.user(&format!("create table member (id {own}, name {text}, points int)")).await;
    scene.target.user(&format!("create table people (no {other}, full_name {text}, score numeric)")).await;
    scene.target.user("insert into people (full_name, score) values ('nobody', 0)").await;
    scene.target.user("delete from people").await;
    let link = "    source: member\n    target: people\n    fields: {name: full_name, points: score}\n";
    scene.link(&[("members", link)]);
    scene.source.user("insert into member (name, points) values ('Ann', 5), ('Bob', 7)").await;
    scene.sync().await;
    scene.quiet().await;
    scene.source.user("alter table member alter column points type numeric(12,2)").await;
    scene.target.user("update people set score = 50 where full_name = 'Ann'").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("members", "updated_source"), counts.of("members", "conflicts")), (1, 0), "only one side changed");
    let (source, target) = (&scene.source, &scene.target);
    assert_eq!(rows(source, "select name, cast(points as int) from member order by name").await, ["Ann|50", "Bob|7"]);
    scene.quiet().await;
    scene.source.user("alter table member alter column points type numeric(12,1) using points + 1.5").await;
    scene.sync().await;
    assert_eq!(
        rows(target, "select full_name, cast(score * 10 as int) from people order by full_name").await,
        ["Ann|515", "Bob|85"]
    );
    scene.quiet().await;
}
