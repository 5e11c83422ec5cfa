//! An identity map that was lost: its link stands still, and nothing is made twice (C21).

use crate::scene::{CUSTOMERS, ORDERS, Scene, rows, scenarios};

scenarios! { each_engine:
    c21_an_emptied_map_stops_only_its_link,
    c21_a_map_that_was_dropped_and_made_anew_stops_its_links,
    c21_an_older_map_that_is_put_back_stops_its_link,
}

scenarios! { sqlite_sqlite:
    c21_a_map_that_is_put_back_goes_on,
    c21_without_a_match_a_person_decides,
}

/// A table of Twinrow's own.
fn own(scene: &Scene, table: &str) -> String {
    let schema = scene.target.url().starts_with("postgres");
    if schema { format!("twinrow.{table}") } else { format!("twinrow_{table}") }
}

async fn begin(scene: &Scene) {
    scene.business("    safety: mirror", "    safety: mirror").await;
    for name in ["Ada", "Ben", "Cai"] {
        scene.customer(&format!("{name}@x"), name).await;
        let order =
            format!("insert into orders (code, customer_id, cents) select '{name}', id, 5 from customer where name = '{name}'");
        scene.source.user(&order).await;
    }
    scene.sync().await;
}

async fn orders(scene: &Scene) -> [Vec<String>; 2] {
    [
        rows(&scene.source, "select code, cents from orders order by code").await,
        rows(&scene.target, "select ref, amount from deal order by ref").await,
    ]
}

async fn customers(scene: &Scene) -> [Vec<String>; 2] {
    [
        rows(&scene.source, "select email, name, phone from customer order by email").await,
        rows(&scene.target, "select mail, full_name, telephone from contact order by mail").await,
    ]
}

pub async fn c21_an_emptied_map_stops_only_its_link(scene: &Scene) {
    begin(scene).await;
    let (pair, link) = (own(scene, "pair"), own(scene, "link"));
    scene.target.user(&format!("delete from {pair} where link = (select number from {link} where name = 'orders')")).await;
    scene.source.user("update orders set cents = 7 where code = 'Ada'").await;
    scene.target.user("update deal set amount = 9 where ref = 'Ben'").await;
    scene.source.user("update customer set phone = '1' where name = 'Ada'").await;
    let before = orders(scene).await;
    for command in [&["run", "--once"][..], &["resync", "full"], &["run", "--once"]] {
        let refused = scene.refused(command, 1).await;
        assert!(refused.err.contains("link orders stands still: its identity map is empty"), "{}", refused.err);
        assert!(refused.err.contains("twinrow resync new-map orders"), "{}", refused.err);
        assert_eq!(orders(scene).await, before);
    }
    let [source, target] = customers(scene).await;
    assert_eq!(source, target, "the other link goes on");
    // The match rule finds the twins.
    scene.program.run(&["resync", "new-map"]).await.code(0);
    let all = ["Ada|7", "Ben|5", "Cai|5"];
    assert_eq!(orders(scene).await, [all, all], "as in a first sync, the source wins");
    scene.quiet().await;
    let refused = scene.refused(&["resync", "new-map", "orders"], 2).await;
    assert!(refused.err.contains("has lost nothing"), "{}", refused.err);
}

pub async fn c21_a_map_that_was_dropped_and_made_anew_stops_its_links(scene: &Scene) {
    begin(scene).await;
    scene.target.user(&format!("drop table {}", own(scene, "pair"))).await;
    scene.source.user("update orders set cents = 7 where code = 'Ada'").await;
    scene.source.user("update customer set phone = '1' where name = 'Ada'").await;
    let before = (orders(scene).await, customers(scene).await);
    scene.refused(&["run", "--once"], 1).await;
    scene.program.run(&["install"]).await.code(0);
    for _ in 0..2 {
        let refused = scene.refused(&["run", "--once"], 1).await;
        assert!(refused.err.contains("link customers stands still: its identity map is empty"), "{}", refused.err);
        assert!(refused.err.contains("link orders stands still: its identity map is empty"), "{}", refused.err);
        assert_eq!((orders(scene).await, customers(scene).await), before);
    }
    scene.program.run(&["resync", "new-map"]).await.code(0);
    let ([source, target], all) = (customers(scene).await, ["Ada|7", "Ben|5", "Cai|5"]);
    assert_eq!(orders(scene).await, [all, all]);
    assert_eq!((source.len(), source), (3, target));
    scene.quiet().await;
}

pub async fn c21_a_map_that_is_put_back_goes_on(scene: &Scene) {
    begin(scene).await;
    let pair = own(scene, "pair");
    scene.target.user(&format!("create table backup_of_pair as select * from {pair}")).await;
    scene.target.user(&format!("delete from {pair}")).await;
    scene.source.user("update orders set cents = 7 where code = 'Ada'").await;
    scene.source.user("insert into customer (email, name) values ('Dan@x', 'Dan')").await;
    scene.refused(&["run", "--once"], 1).await;
    scene.target.user(&format!("insert into {pair} select * from backup_of_pair")).await;
    scene.sync().await;
    let ([source, target], all) = (customers(scene).await, ["Ada|7", "Ben|5", "Cai|5"]);
    assert_eq!(orders(scene).await, [all, all]);
    assert_eq!((source.len(), source), (4, target));
    scene.quiet().await;
}

pub async fn c21_without_a_match_a_person_decides(scene: &Scene) {
    scene.customers("").await;
    let blind = CUSTOMERS.replace("    match: [email]\n", "");
    scene.configure("first_sync: auto", &[("customers", &blind), ("orders", ORDERS)]);
    scene.customer("ada@x", "Ada").await;
    scene.sync().await;
    scene.target.user(&format!("delete from {}", own(scene, "pair"))).await;
    let before = customers(scene).await;
    let refused = scene.refused(&["run", "--once"], 1).await;
    assert!(refused.err.contains("every record is made a second time"), "{}", refused.err);
    // Not by the way, when all links are meant.
    let refused = scene.refused(&["resync", "new-map"], 3).await;
    assert!(refused.err.contains("link customers has no `match:`"), "{}", refused.err);
    assert_eq!(customers(scene).await, before);
    // And not without a look at what it would do.
    scene.configure("first_sync: ask", &[("customers", &blind), ("orders", ORDERS)]);
    scene.refused(&["resync", "new-map", "customers"], 3).await;
    scene.refused(&["run", "--once"], 3).await;
    assert_eq!(customers(scene).await, before);
    // A match finds the twins.
    scene.configure("first_sync: auto", &[("customers", CUSTOMERS), ("orders", ORDERS)]);
    scene.sync().await;
    assert_eq!(customers(scene).await, before);
    scene.quiet().await;
}

/// Its newest records have no pair any more: each would be made a second time.
pub async fn c21_an_older_map_that_is_put_back_stops_its_link(scene: &Scene) {
    begin(scene).await;
    let (pair, link) = (own(scene, "pair"), own(scene, "link"));
    let of_orders = format!("link = (select number from {link} where name = 'orders')");
    scene.target.user(&format!("create table backup_of_pair as select * from {pair} where {of_orders}")).await;
    scene.source.user("insert into orders (code, customer_id, cents) select 'Dan', min(id), 5 from customer").await;
    scene.sync().await;
    scene.quiet().await;
    scene.target.user(&format!("delete from {pair} where {of_orders}")).await;
    scene.target.user(&format!("insert into {pair} select * from backup_of_pair")).await;
    scene.source.user("update orders set cents = 7 where code = 'Dan'").await;
    scene.source.user("update customer set phone = '1' where name = 'Ada'").await;
    let before = orders(scene).await;
    for _ in 0..2 {
        let refused = scene.refused(&["run", "--once"], 1).await;
        assert!(refused.err.contains("link orders stands still: 1 of the pairs its identity map had"), "{}", refused.err);
        assert!(refused.err.contains("twinrow resync new-map orders"), "{}", refused.err);
        assert_eq!(orders(scene).await, before);
    }
    let [source, target] = customers(scene).await;
    assert_eq!(source, target, "the other link goes on");
    scene.program.run(&["resync", "new-map"]).await.code(0);
    let all = ["Ada|5", "Ben|5", "Cai|5", "Dan|7"];
    assert_eq!(orders(scene).await, [all, all], "the match rule finds the twin");
    scene.quiet().await;
    // One row is enough.
    scene.target.user(&format!("delete from {pair} where {of_orders} and id in (select id from backup_of_pair where id = (select min(id) from backup_of_pair))")).await;
    let refused = scene.refused(&["run", "--once"], 1).await;
    assert!(refused.err.contains("link orders stands still: 1 of the pairs"), "{}", refused.err);
    scene.program.run(&["resync", "new-map"]).await.code(0);
    assert_eq!(orders(scene).await, [all, all]);
    scene.quiet().await;
}
