//! Keys of several columns that are foreign keys in part, and foreign keys of several columns.

use crate::scene::{Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    c24_a_key_that_is_a_foreign_key_in_part,
    c24_a_foreign_key_of_several_columns_is_rewritten,
    c24_a_foreign_key_that_is_empty_in_part_is_held,
    c24_what_no_foreign_key_declares_is_refused,
}

scenarios! { postgres_mysql:
    c24_a_key_that_is_a_foreign_key_in_part,
    c24_a_foreign_key_of_several_columns_is_rewritten,
    c24_what_no_foreign_key_declares_is_refused,
}

scenarios! { sqlite_postgres:
    c24_a_key_that_is_a_foreign_key_in_part,
    c24_a_foreign_key_of_several_columns_is_rewritten,
    c24_a_foreign_key_that_is_empty_in_part_is_held,
}

scenarios! { mariadb_sqlite:
    c24_a_key_that_is_a_foreign_key_in_part,
    c24_a_foreign_key_of_several_columns_is_rewritten,
}

scenarios! { mysql_mariadb:
    c24_a_key_that_is_a_foreign_key_in_part,
    c24_a_foreign_key_of_several_columns_is_rewritten,
}

const ORDERS: &str = "    source: orders\n    target: deal\n    match: [code]\n    safety: mirror\n    fields: {code: ref}\n";
const LINES: &str = "    source: order_line\n    target: deal_item\n    match: [order_id, line_no]\n    safety: mirror\n    fields:\n      order_id: {to: deal_no, via: orders}\n      line_no: pos\n      what: thing\n";
const PARCELS: &str = "    source: parcel\n    target: delivery\n    match: [code]\n    safety: mirror\n    fields:\n      code: ref\n      order_id: {to: deal, via: lines}\n      line_no: {to: item, via: lines}\n";

/// Orders, their lines by (order, number), and parcels that refer to a line. The target numbers its own, and has the
/// parts of its keys the other way round.
async fn orders(scene: &Scene, parcels: &str) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    scene.source.user(&format!("create table orders (id {key}, code {text} not null unique)")).await;
    scene
        .source
        .user(&format!(
            "create table order_line (order_id bigint not null, line_no bigint not null, what {text}, primary key (order_id, line_no), \
             foreign key (order_id) references orders (id))"
        ))
        .await;
    scene
        .source
        .user(&format!(
            "create table parcel (id {key}, code {text} not null unique, order_id bigint, line_no bigint, \
             foreign key (order_id, line_no) references order_line (order_id, line_no))"
        ))
        .await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table deal (deal_no {key}, ref {text} not null unique)")).await;
    scene
        .target
        .user(&format!(
            "create table deal_item (pos int not null, deal_no bigint not null, thing {text}, primary key (pos, deal_no), \
             foreign key (deal_no) references deal (deal_no))"
        ))
        .await;
    scene
        .target
        .user(&format!(
            "create table delivery (no {key}, ref {text} not null unique, item int, deal bigint, \
             foreign key (item, deal) references deal_item (pos, deal_no))"
        ))
        .await;
    scene.target.user("insert into deal (deal_no, ref) values (5000, 'none')").await;
    scene.target.user("delete from deal").await;
    if scene.target.url().starts_with("postgres") {
        scene.target.user("alter table deal alter column deal_no restart with 5001").await;
    }
    scene.link(&[("orders", ORDERS), ("lines", LINES), ("parcels", parcels)]);
}

const SOURCE: &str = "select o.code, l.line_no, l.what from order_line l join orders o on o.id = l.order_id order by 1, 2";
const TARGET: &str = "select d.ref, i.pos, i.thing from deal_item i join deal d on d.deal_no = i.deal_no order by 1, 2";
const SENT: &str = "select p.code, o.code, p.line_no from parcel p left join orders o on o.id = p.order_id order by 1";
const DELIVERED: &str = "select p.ref, d.ref, p.item from delivery p left join deal d on d.deal_no = p.deal order by 1";

async fn both(scene: &Scene, source: &str, target: &str, expected: &[&str]) {
    assert_eq!(rows(&scene.source, source).await, expected);
    assert_eq!(rows(&scene.target, target).await, expected);
}

async fn line(scene: &Scene, order: &str, no: u8, what: &str) {
    let id = format!("(select id from orders where code = '{order}')");
    scene.source.user(&format!("insert into order_line values ({id}, {no}, '{what}')")).await;
}

pub async fn c24_a_key_that_is_a_foreign_key_in_part(scene: &Scene) {
    orders(scene, PARCELS).await;
    scene.source.user("insert into orders (code) values ('a'), ('b')").await;
    for (order, no, what) in [("a", 1, "tea"), ("a", 2, "milk"), ("b", 1, "rice")] {
        line(scene, order, no, what).await;
    }
    // The same line is on both sides already.
    scene.target.user("insert into deal (ref) values ('a')").await;
    scene.target.user("insert into deal_item (pos, deal_no, thing) select 2, deal_no, 'cream' from deal where ref = 'a'").await;
    let counts = scene.sync().await;
    assert_eq!(counts.of("lines", "linked"), 1);
    both(scene, SOURCE, TARGET, &["a|1|tea", "a|2|milk", "b|1|rice"]).await;
    let numbers = rows(&scene.target, "select min(deal_no) from deal_item").await;
    assert!(numbers[0].parse::<i64>().unwrap() > 5000, "{numbers:?}");
    scene.target.user("insert into deal_item (pos, deal_no, thing) select 7, deal_no, 'salt' from deal where ref = 'b'").await;
    scene.source.user("update order_line set what = 'green tea' where what = 'tea'").await;
    scene.source.user("update order_line set line_no = 9 where what = 'milk'").await;
    scene.source.user("delete from order_line where what = 'rice'").await;
    scene.sync().await;
    both(scene, SOURCE, TARGET, &["a|1|green tea", "a|9|milk", "b|7|salt"]).await;
    // A line that goes to another order has another key on both sides.
    scene.target.user("update deal_item set deal_no = (select deal_no from deal where ref = 'a') where thing = 'salt'").await;
    scene.sync().await;
    both(scene, SOURCE, TARGET, &["a|1|green tea", "a|7|salt", "a|9|milk"]).await;
    scene.quiet().await;
}

pub async fn c24_a_foreign_key_of_several_columns_is_rewritten(scene: &Scene) {
    orders(scene, PARCELS).await;
    // All at once, the parcels before their lines have twins.
    scene.source.user("insert into orders (code) values ('a'), ('b')").await;
    for (order, no) in [("a", 1), ("a", 2), ("b", 1), ("b", 2)] {
        line(scene, order, no, "thing").await;
    }
    for (code, order, no) in [("p1", "a", 2), ("p2", "b", 1)] {
        let id = format!("select '{code}', id, {no} from orders where code = '{order}'");
        scene.source.user(&format!("insert into parcel (code, order_id, line_no) {id}")).await;
    }
    scene.source.user("insert into parcel (code) values ('p3')").await;
    scene.sync().await;
    both(scene, SENT, DELIVERED, &["p1|a|2", "p2|b|1", "p3|NULL|NULL"]).await;
    scene.quiet().await;
    // Only one part changes, then the other, then both; here and there.
    scene.source.user("update parcel set line_no = 1 where code = 'p1'").await;
    scene.target.user("update delivery set deal = (select deal_no from deal where ref = 'a') where ref = 'p2'").await;
    scene.sync().await;
    both(scene, SENT, DELIVERED, &["p1|a|1", "p2|a|1", "p3|NULL|NULL"]).await;
    let other = "(select deal_no from deal where ref = 'b')";
    scene.target.user(&format!("update delivery set deal = {other}, item = 2 where ref = 'p3'")).await;
    scene.source.user("update parcel set order_id = null, line_no = null where code = 'p1'").await;
    scene.sync().await;
    both(scene, SENT, DELIVERED, &["p1|NULL|NULL", "p2|a|1", "p3|b|2"]).await;
    // Both sides say another line: the source wins, and never half of each.
    scene.source.user("update parcel set line_no = 2 where code = 'p2'").await;
    scene.target.user(&format!("update delivery set deal = {other} where ref = 'p2'")).await;
    scene.sync().await;
    both(scene, SENT, DELIVERED, &["p1|NULL|NULL", "p2|a|2", "p3|b|2"]).await;
    assert_eq!(scene.conflicts().await.len(), 1);
    scene.quiet().await;
}

pub async fn c24_a_foreign_key_that_is_empty_in_part_is_held(scene: &Scene) {
    orders(scene, PARCELS).await;
    scene.source.user("insert into orders (code) values ('a')").await;
    line(scene, "a", 1, "tea").await;
    scene.source.user("insert into parcel (code, order_id) select 'p1', id from orders").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, DELIVERED).await, [""; 0]);
    let held = scene.held().await;
    assert!(held.len() == 1 && held[0].contains("another part of the same foreign key is empty"), "{held:?}");
    scene.source.user("update parcel set line_no = 1").await;
    scene.sync().await;
    both(scene, SENT, DELIVERED, &["p1|a|1"]).await;
    scene.quiet().await;
}

pub async fn c24_what_no_foreign_key_declares_is_refused(scene: &Scene) {
    orders(scene, PARCELS).await;
    for (was, is, why) in [
        ("line_no: {to: item, via: lines}", "line_no: item", "parcel.line_no` with `via: lines` too"),
        ("order_id: {to: deal, via: lines}", "id: {to: deal, via: lines, direction: to_target}", "is in no declared foreign key"),
        (
            "line_no: {to: item, via: lines}",
            "line_no: {to: item, via: lines, blanks: keep}",
            "give them the same `direction` and `blanks`",
        ),
    ] {
        let parcels = PARCELS.replace(was, is);
        assert_ne!(parcels, PARCELS);
        scene.link(&[("orders", ORDERS), ("lines", LINES), ("parcels", &parcels)]);
        let refused = scene.refused(&["check"], 2).await.err;
        assert!(refused.contains(why) && refused.contains("twinrow.yaml:"), "{refused}");
    }
}
