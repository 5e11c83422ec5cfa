//! What DDL makes of the values in a column (another type, another label of an enum, another expression of a computed one) fires no
//! trigger: it is seen in the catalog, at the start and while it runs, and travels as what it is, a change of that field alone.

use crate::program::until;
use crate::scene::{Scene, rows, scenarios};

scenarios! { postgres_sqlite: i1_another_label_of_an_enum_travels, i1_a_column_of_another_type_travels, }
scenarios! { postgres18_postgres18: i1_another_expression_travels, }
scenarios! { mysql_postgres: i1_a_column_of_another_type_travels, i1_another_expression_travels, }
scenarios! { mariadb_mysql: i1_another_expression_travels, }

/// Two things; `m` is of this type in the source, of that in the target.
async fn things(scene: &Scene, own: &str, other: &str, direction: &str, values: [&str; 2]) {
    for (lab, table, kind, first) in [(&scene.source, "thing", own, 1), (&scene.target, "ding", other, 700)] {
        let (key, text) = (lab.dialect().generated_key, lab.dialect().text);
        let columns = format!("code {text} not null unique, base int, m {kind}, v int");
        lab.user(&format!("create table {table} (id {key}, {columns})")).await;
        lab.user(&format!("insert into {table} (id, code) values ({first}, 'first')")).await;
    }
    let fields = format!("{{code: code, m: {{to: m{direction}}}, v: v}}");
    scene.link(&[("things", &format!("    source: thing\n    target: ding\n    match: [code]\n    fields: {fields}\n"))]);
    for (id, code, value) in [(2, "a", values[0]), (3, "b", values[1])] {
        let (column, value) = if direction.is_empty() { ("m", format!("'{value}'")) } else { ("base", value.to_owned()) };
        scene.source.user(&format!("insert into thing (id, code, {column}, v) values ({id}, '{code}', {value}, 1)")).await;
    }
    scene.sync().await;
    scene.quiet().await;
}

async fn has(scene: &Scene, wanted: [&str; 2]) -> bool {
    rows(&scene.target, "select m from ding where code <> 'first' order by code").await == wanted
}

/// The one statement while nothing runs, the other one while it does: after each the target has what it makes of the values.
async fn travels(scene: &Scene, stopped: (&str, [&str; 2]), running: (&str, [&str; 2])) {
    scene.source.user(stopped.0).await;
    scene.sync().await;
    assert!(has(scene, stopped.1).await, "{}: {:?}", stopped.0, rows(&scene.target, "select m from ding").await);
    scene.quiet().await;

    let mut child = scene.program.start(&["run"], None);
    until("it runs", || async { scene.program.log().contains("both runs") }).await;
    scene.source.user(running.0).await;
    until(running.0, || async { has(scene, running.1).await }).await;
    // A user's edit of another field is no conflict with it.
    scene.target.user("update ding set v = 50 where code = 'a'").await;
    until("the edit arrives", || async { rows(&scene.source, "select v from thing where code = 'a'").await == ["50"] }).await;
    child.kill().await.unwrap();
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    assert!(has(scene, running.1).await);
    assert_eq!((scene.held().await, scene.conflicts().await.len()), (vec![], 0));
    scene.quiet().await;
}

pub async fn i1_another_label_of_an_enum_travels(scene: &Scene) {
    scene.source.user("create type mood as enum ('sad', 'ok')").await;
    things(scene, "mood", "varchar(20)", "", ["sad", "ok"]).await;
    let stopped = ("alter type mood rename value 'sad' to 'blue'", ["blue", "ok"]);
    travels(scene, stopped, ("alter type mood rename value 'ok' to 'fine'", ["blue", "fine"])).await;
}

pub async fn i1_a_column_of_another_type_travels(scene: &Scene) {
    things(scene, "varchar(20)", "varchar(20)", "", ["1.50", "2.70"]).await;
    let [stopped, running] = match scene.source.dialect().statements {
        "sql/postgres" => [
            "alter table thing alter column m type numeric(10,1) using m::numeric",
            "alter table thing alter column m type numeric(10,0)",
        ],
        _ => ["alter table thing modify m decimal(10,1)", "alter table thing modify m decimal(10,0)"],
    };
    travels(scene, (stopped, ["1.5", "2.7"]), (running, ["2", "3"])).await;
}

pub async fn i1_another_expression_travels(scene: &Scene) {
    things(scene, "int generated always as (base * 2) stored", "int", ", direction: to_target", ["10", "20"]).await;
    let expression = |times: u32| match scene.source.dialect().statements {
        "sql/postgres" => format!("alter table thing alter column m set expression as (base * {times})"),
        _ => format!("alter table thing modify m int generated always as (base * {times}) stored"),
    };
    travels(scene, (&expression(5), ["50", "100"]), (&expression(7), ["70", "140"])).await;
}
