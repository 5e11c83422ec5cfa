//! Trees in one table: rows that refer to others of their own.

use crate::scene::{Scene, rows, scenarios};

scenarios! { each_engine:
    c15_a_tree_deleted_leaf_by_leaf_goes_in_one_run,
}

scenarios! { sqlite_sqlite:
    c15_a_long_chain_is_there_after_one_run,
    i7_what_waited_for_a_held_record_comes_with_it_in_one_run,
    c15_a_ring_whose_other_parent_is_new_comes_with_it,
}

scenarios! { mariadb_sqlite:
    c15_a_ring_whose_other_parent_is_new_comes_with_it,
}

scenarios! { mariadb_mysql:
    i7_a_leaf_that_stays_keeps_only_what_it_hangs_on,
}

/// Rows below rows, in names of their own on both sides.
async fn tree(scene: &Scene) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    let table = format!("create table node (id {key}, name {text}, above bigint, foreign key (above) references node (id))");
    scene.source.user(&table).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    let table = format!("create table knot (no {key}, label {text}, parent bigint, foreign key (parent) references knot (no))");
    scene.target.user(&table).await;
    scene.target.user("insert into knot (no, label) values (70000, 'x')").await;
    scene.target.user("delete from knot").await;
    let link = "    source: node\n    target: knot\n    safety: mirror\n    brake: {deletes: off}\n    \
                fields: {name: label, above: {to: parent, via: nodes}}";
    scene.link(&[("nodes", link)]);
}

async fn add(scene: &Scene, id: usize, above: Option<usize>) {
    let above = above.map_or("null".to_owned(), |above| above.to_string());
    scene.source.user(&format!("insert into node (id, name, above) values ({id}, 'n{id}', {above})")).await;
}

async fn count(scene: &Scene) -> String {
    rows(&scene.target, "select count(*) from knot").await.remove(0)
}

/// A trunk of eight, with a twig at each.
async fn trunk(scene: &Scene) {
    tree(scene).await;
    for id in 1..=8 {
        add(scene, id, (id > 1).then(|| id - 1)).await;
        add(scene, 20 - id, Some(id)).await;
    }
    scene.sync().await;
    assert_eq!(count(scene).await, "16");
}

pub async fn c15_a_tree_deleted_leaf_by_leaf_goes_in_one_run(scene: &Scene) {
    trunk(scene).await;
    let mut tx = scene.source.open().await;
    tx.run("update node set above = null").await;
    tx.run("delete from node").await;
    tx.commit().await;
    let counts = scene.sync().await;
    assert_eq!((count(scene).await.as_str(), counts.of("nodes", "deleted_target")), ("0", 16), "{counts:?}");
    scene.quiet().await;
}

/// Somebody has hung something of their own on one of them.
pub async fn i7_a_leaf_that_stays_keeps_only_what_it_hangs_on(scene: &Scene) {
    trunk(scene).await;
    scene.target.user("create table own (id int primary key, knot bigint, foreign key (knot) references knot (no))").await;
    scene.target.user("insert into own select 1, no from knot where label = 'n5'").await;
    let mut tx = scene.source.open().await;
    for id in (1..=8).rev() {
        tx.run(&format!("delete from node where id = {}", 20 - id)).await;
        tx.run(&format!("delete from node where id = {id}")).await;
    }
    tx.commit().await;
    scene.sync().await;
    let left = rows(&scene.target, "select label from knot order by label").await;
    assert_eq!(left, ["n1", "n2", "n3", "n4", "n5"]);
    scene.target.user("drop table own").await;
    scene.program.run(&["held", "retry"]).await.code(0);
    scene.sync().await;
    assert_eq!(count(scene).await, "0");
    scene.quiet().await;
}

pub async fn c15_a_long_chain_is_there_after_one_run(scene: &Scene) {
    tree(scene).await;
    let mut tx = scene.source.open().await;
    // Each refers to the next one.
    for id in (1..=130).rev() {
        let above = if id < 130 { (id + 1).to_string() } else { "null".to_owned() };
        tx.run(&format!("insert into node (id, name, above) values ({id}, 'n{id}', {above})")).await;
    }
    tx.commit().await;
    scene.sync().await;
    assert_eq!(count(scene).await, "130");
    scene.quiet().await;
}

/// However often they were tried while they waited for it.
pub async fn i7_what_waited_for_a_held_record_comes_with_it_in_one_run(scene: &Scene) {
    tree(scene).await;
    scene.target.user("create trigger no before insert on knot when new.label = 'n1' begin select raise(abort, 'no'); end").await;
    for id in 1..=20 {
        add(scene, id, (id > 1).then_some(id / 2)).await;
    }
    for _ in 0..5 {
        scene.sync().await;
        scene.program.run(&["held", "retry"]).await.code(0);
    }
    assert_eq!(count(scene).await, "0");
    scene.target.user("drop trigger no").await;
    scene.program.run(&["held", "retry"]).await.code(0);
    scene.sync().await;
    assert_eq!(count(scene).await, "20");
    scene.quiet().await;
}

/// Each waits for the other one only when it no longer waits for something else.
pub async fn c15_a_ring_whose_other_parent_is_new_comes_with_it(scene: &Scene) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    scene.source.user(&format!("create table dept (id {key}, name {text} not null)")).await;
    let references = "foreign key (dept) references dept (id), foreign key (boss) references worker (id)";
    let worker = format!("create table worker (id {key}, name {text}, dept bigint not null, boss bigint, {references})");
    scene.source.user(&worker).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table team (no {key}, title {text} not null)")).await;
    let references = "foreign key (team) references team (no), foreign key (chief) references member (no)";
    let member = format!("create table member (no {key}, title {text}, team bigint not null, chief bigint, {references})");
    scene.target.user(&member).await;
    scene.link(&[
        ("teams", "    source: dept\n    target: team\n    fields: {name: title}"),
        (
            "members",
            "    source: worker\n    target: member\n    \
             fields: {name: title, dept: {to: team, via: teams}, boss: {to: chief, via: members}}",
        ),
    ]);
    let mut tx = scene.source.open().await;
    tx.run("insert into dept (id, name) values (71, 'd')").await;
    for (id, name) in [(81, "a"), (82, "b"), (83, "c")] {
        tx.run(&format!("insert into worker (id, name, dept) values ({id}, '{name}', 71)")).await;
    }
    tx.run("update worker set boss = case id when 83 then 81 else id + 1 end").await;
    tx.commit().await;
    scene.sync().await;
    let ring = "select m.title, c.title, t.title from member m join member c on c.no = m.chief join team t on t.no = m.team order by m.title";
    assert_eq!(rows(&scene.target, ring).await, ["a|b|d", "b|c|d", "c|a|d"], "{:?}", scene.held().await);
    scene.quiet().await;
}
