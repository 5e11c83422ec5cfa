//! Several records get other keys at once: by one statement, or because a foreign key takes them along.

use crate::scene::{CUSTOMERS, Scene, rows, scenarios};

scenarios! { each_engine:
    a26_a_statement_that_changes_several_keys_keeps_the_twins,
    a26_keys_that_follow_a_foreign_key_keep_their_twins,
    a26_keys_that_follow_our_own_write_keep_their_twins,
}

scenarios! { mariadb_postgres:
    a26_keys_that_follow_two_foreign_keys_keep_their_twins,
}

scenarios! { postgres_sqlite:
    a26_keys_that_follow_two_foreign_keys_keep_their_twins,
}

scenarios! { sqlite_sqlite:
    a26_keys_that_follow_two_foreign_keys_keep_their_twins,
}

scenarios! { sqlite_postgres:
    a26_keys_that_follow_our_own_write_keep_their_twins,
}

/// Nothing but the keys says whose is whose: no match rule, and the numbers overlap.
pub async fn a26_a_statement_that_changes_several_keys_keeps_the_twins(scene: &Scene) {
    let unmatched = CUSTOMERS.replace("    match: [email]\n", "");
    scene.customers("").await;
    scene.link(&[("customers", &unmatched)]);
    for name in ["a", "b", "c", "d"] {
        scene.customer(&format!("{name}@x"), name).await;
    }
    scene.target.user(&format!("alter table contact add note {}", scene.target.dialect().text)).await;
    scene.sync().await;
    scene.target.user("update contact set note = mail").await;
    scene.sync().await;
    scene.source.user("update customer set id = id + 100 where name <> 'd'").await;
    assert_eq!(scene.sync().await.writes(), 0);
    scene.source.user("update customer set id = id - 1 where name <> 'd'").await;
    scene.target.user("update contact set contact_no = contact_no - 1").await;
    assert_eq!(scene.sync().await.writes(), 0);
    scene.source.user("update customer set phone = name").await;
    assert_eq!(scene.sync().await.of("customers", "updated_target"), 4);
    let noted = rows(&scene.target, "select mail, note, telephone from contact order by mail").await;
    assert_eq!(noted, ["a@x|a@x|a", "b@x|b@x|b", "c@x|c@x|c", "d@x|d@x|d"]);
    scene.target.user("update contact set full_name = telephone").await;
    scene.sync().await;
    assert_eq!(rows(&scene.source, "select name from customer where name <> phone").await, [""; 0]);
    scene.quiet().await;
}

pub async fn a26_keys_that_follow_a_foreign_key_keep_their_twins(scene: &Scene) {
    ordered(scene).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table deal (id {key}, code {text}, title {text})")).await;
    scene
        .target
        .user(&format!(
            "create table item (id {key}, deal_id bigint, pos bigint, article {text}, note {text}, foreign key (deal_id) references deal (id))"
        ))
        .await;
    let orders = "    source: orders\n    target: deal\n    fields: {no: code, title: title}\n";
    let lines =
        "    source: line\n    target: item\n    fields: {order_no: {to: deal_id, via: orders}, n: pos, article: article}\n";
    scene.link(&[("orders", orders), ("lines", lines)]);
    scene.sync().await;
    scene.target.user("update item set note = article").await;
    scene.sync().await;
    scene.source.user("update orders set no = 'A9' where no = 'A1'").await;
    assert_eq!(scene.sync().await.writes(), 1, "the order's own number");
    scene.source.user("update line set article = upper(article)").await;
    scene.sync().await;
    let all = "select code, pos, article, note from item join deal on deal.id = deal_id order by 1, 2";
    assert_eq!(rows(&scene.target, all).await, ["A9|1|PEN|pen", "A9|2|INK|ink", "B1|1|CAP|cap"]);
    assert_eq!(scene.held().await, [""; 0]);
    scene.quiet().await;
}

/// The parts of a line have keys that hold the line's, and so the order's. Nothing but the key tells two of them apart.
pub async fn a26_keys_that_follow_two_foreign_keys_keep_their_twins(scene: &Scene) {
    ordered(scene).await;
    let text = scene.source.dialect().text;
    scene
        .source
        .user(&format!(
            "create table part (order_no {text} not null, line_n bigint not null, m bigint not null, name {text}, primary key (order_no, line_n, m), \
             foreign key (order_no, line_n) references line (order_no, n) on update cascade on delete cascade)"
        ))
        .await;
    scene
        .source
        .user("insert into part values ('A1', 1, 1, 'nib'), ('A1', 2, 1, 'nib'), ('B1', 1, 1, 'nib'), ('B1', 1, 2, 'peak')")
        .await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table piece (id {key}, place bigint, called {text}, note {text})")).await;
    scene.link(&[(
        "parts",
        "    source: part\n    target: piece\n    direction: to_target\n    fields: {m: place, name: called}\n",
    )]);
    scene.sync().await;
    scene.target.user("update piece set note = called").await;
    scene.sync().await;
    let before = rows(&scene.target, "select id from piece order by 1").await;
    for (was, is) in [("A1", "A9"), ("B1", "A1")] {
        scene.source.user(&format!("update orders set no = '{is}' where no = '{was}'")).await;
        assert_eq!(scene.sync().await.writes(), 0, "{was} to {is}");
    }
    scene.source.user("update part set name = 'last' where order_no = 'A9' and line_n = 2").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select id from piece order by 1").await, before);
    let all = rows(&scene.target, "select called, note from piece order by 1, 2").await;
    assert_eq!(all, ["last|nib", "nib|nib", "nib|nib", "peak|peak"]);
    assert_eq!(scene.held().await, [""; 0]);
    scene.quiet().await;
}

/// The target takes its lines along by itself, when we give an order its new number.
pub async fn a26_keys_that_follow_our_own_write_keep_their_twins(scene: &Scene) {
    ordered(scene).await;
    let text = scene.target.dialect().text;
    scene.target.user(&format!("create table deal (code {text} primary key, title {text})")).await;
    scene
        .target
        .user(&format!(
            "create table item (deal {text} not null, pos bigint not null, article {text}, note {text}, primary key (deal, pos), \
             foreign key (deal) references deal (code) on update cascade on delete cascade)"
        ))
        .await;
    let orders = "    source: orders\n    target: deal\n    fields: {no: code, title: title}\n";
    let lines = "    source: line\n    target: item\n    fields: {order_no: {to: deal, via: orders}, n: pos, article: article}\n";
    scene.link(&[("orders", orders), ("lines", lines)]);
    scene.sync().await;
    scene.target.user("update item set note = article").await;
    scene.sync().await;
    for (was, is) in [("A1", "A9"), ("A9", "C3")] {
        scene.source.user(&format!("update orders set no = '{is}' where no = '{was}'")).await;
        for _ in 0..3 {
            scene.sync().await;
        }
    }
    scene.source.user("update line set article = upper(article)").await;
    scene.sync().await;
    let all = rows(&scene.target, "select deal, pos, article, note from item order by 1, 2").await;
    assert_eq!(all, ["B1|1|CAP|cap", "C3|1|PEN|pen", "C3|2|INK|ink"]);
    assert_eq!(scene.held().await, [""; 0]);
    scene.quiet().await;
}

/// Orders whose lines have keys that hold the order's.
async fn ordered(scene: &Scene) {
    let text = scene.source.dialect().text;
    scene.source.user(&format!("create table orders (no {text} primary key, title {text})")).await;
    scene
        .source
        .user(&format!(
            "create table line (order_no {text} not null, n bigint not null, article {text}, primary key (order_no, n), \
             foreign key (order_no) references orders (no) on update cascade on delete cascade)"
        ))
        .await;
    scene.source.user("insert into orders values ('A1', 'first'), ('B1', 'second')").await;
    scene.source.user("insert into line values ('A1', 1, 'pen'), ('A1', 2, 'ink'), ('B1', 1, 'cap')").await;
}
