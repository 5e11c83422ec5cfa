//! Many records that the server refuses, and others beside them.

use crate::scene::{Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    i7_many_refused_records_do_not_keep_the_others,
}

scenarios! { postgres_mysql:
    i7_many_refused_records_do_not_keep_the_others,
}

/// More of them than are looked for one by one, and the good ones behind them.
pub async fn i7_many_refused_records_do_not_keep_the_others(scene: &Scene) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    scene.source.user(&format!("create table thing (id {key}, name {text} not null, n bigint)")).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table item (no {key}, label {text} not null, amount bigint, check (amount >= 0))")).await;
    scene.target.user("insert into item (no, label) values (7000, 'x')").await;
    scene.target.user("delete from item").await;
    scene.link(&[("things", "    source: thing\n    target: item\n    fields: {name: label, n: amount}")]);
    scene.sync().await;
    let values = |sign: i64, from: i64| {
        let values: Vec<String> = (from..from + 450).map(|n| format!("('thing {n}', {})", sign * n)).collect();
        format!("insert into thing (name, n) values {}", values.join(", "))
    };
    scene.source.user(&values(-1, 1)).await;
    scene.source.user(&values(1, 1_000)).await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select count(*), min(amount) from item").await, ["450|1000"]);
    assert_eq!(scene.held().await.len(), 450);
    // And once they are no longer refused, all of them come.
    scene.source.user("update thing set n = -n where n < 0").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select count(*) from item").await, ["900"]);
    assert_eq!(scene.held().await, Vec::<String>::new());
}
