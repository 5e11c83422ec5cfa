//! A table in two links of one integration: what one of them does there, the other one knows.

use crate::scene::{Scene, lost, rows, scenarios};

scenarios! { each_engine:
    i2_a_record_made_again_by_one_link_is_the_others_too,
    i2_a_record_that_both_links_would_make_again_is_made_once,
}

scenarios! { sqlite_sqlite:
    i2_a_record_made_again_and_deleted_at_once_comes_once,
}

scenarios! { postgres_mysql:
    i2_a_record_made_again_and_deleted_at_once_comes_once,
}

scenarios! { mariadb_postgres:
    i2_a_record_made_again_and_deleted_at_once_comes_once,
}

/// Items, each of them an article and a product, by links that nothing but the map tells who is who.
async fn hub(scene: &Scene, policy: &str) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    scene.source.user(&format!("create table item (id {key}, code {text}, v int)")).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    for (table, first) in [("art", 700), ("prod", 9_000)] {
        scene.target.user(&format!("create table {table} (no {key}, ref {text}, n int, own {text})")).await;
        scene.target.user(&format!("insert into {table} (no, ref) values ({first}, 'x')")).await;
        scene.target.user(&format!("delete from {table}")).await;
    }
    let link = |to: &str| format!("    source: item\n    target: {to}\n    fields: {{code: ref, v: n}}\n{policy}");
    scene.link(&[("articles", &link("art")), ("products", &link("prod"))]);
    scene.source.user("insert into item (code, v) values ('a', 1), ('b', 2), ('c', 3)").await;
    scene.sync().await;
    for table in ["art", "prod"] {
        scene.target.user(&format!("update {table} set own = ref")).await;
    }
    scene.sync().await;
}

/// Each record once, with what only its own side knows of it.
async fn same(scene: &Scene, v: &str) {
    assert_eq!(rows(&scene.source, "select code, v from item order by code").await, [&format!("a|{v}"), "b|2", "c|3"]);
    for table in ["art", "prod"] {
        let there = rows(&scene.target, &format!("select ref, n, own from {table} order by ref")).await;
        assert_eq!(there, [&format!("a|{v}|a"), "b|2|b", "c|3|c"], "{table}");
    }
    assert_eq!(scene.held().await, Vec::<String>::new());
    scene.quiet().await;
}

pub async fn i2_a_record_made_again_by_one_link_is_the_others_too(scene: &Scene) {
    hub(scene, "    deletes: recreate").await;
    scene.source.user("delete from item where code = 'a'").await;
    scene.sync().await;
    same(scene, "1").await;
    // It is one record for both links from now on.
    scene.source.user("update item set v = 5 where code = 'a'").await;
    scene.sync().await;
    same(scene, "5").await;
}

pub async fn i2_a_record_that_both_links_would_make_again_is_made_once(scene: &Scene) {
    hub(scene, "    safety: mirror\n    conflict: target").await;
    scene.source.user("delete from item where code = 'a'").await;
    scene.target.user("update art set n = 50 where ref = 'a'").await;
    scene.target.user("update prod set n = 60 where ref = 'a'").await;
    scene.sync().await;
    let v = rows(&scene.source, "select v from item where code = 'a'").await;
    same(scene, &v[0]).await;
    // Two changed it, and one of them was overwritten: its value is kept.
    let other = if v == ["50"] { "60" } else { "50" };
    let kept = scene.conflicts().await;
    assert!(kept.iter().any(|one| lost(one, "source", "v").as_deref() == Some(other)), "{kept:?}");
}

/// It is gone again before the other link has heard of it: both have lost the same record still.
pub async fn i2_a_record_made_again_and_deleted_at_once_comes_once(scene: &Scene) {
    hub(scene, "    deletes: recreate").await;
    let items = async || rows(&scene.source, "select id from item where code = 'a'").await;
    for _ in 0..2 {
        scene.source.user("delete from item where code = 'a'").await;
        // One link has made it, and then everything stops.
        let mut killed = scene.program.start(&["run", "--once"], Some("apply.committed:1"));
        killed.wait().await.unwrap();
        assert_eq!(items().await.len(), 1);
        scene.source.user("delete from item where code = 'a'").await;
        scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
        scene.sync().await;
        same(scene, "1").await;
    }
    scene.source.user("update item set v = 5 where code = 'a'").await;
    scene.sync().await;
    same(scene, "5").await;
}
