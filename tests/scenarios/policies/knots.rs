//! Records that refer to each other, and are all deleted (C15).

use crate::scene::{Scene, rows, scenarios};

scenarios! { each_engine:
    c15_both_sides_of_a_ring_go_together,
    c15_a_ring_within_a_table_goes_together,
    c15_a_ring_that_takes_no_null_is_named,
}

/// What belongs to a department and a person, on one side: tables, and the columns for name and reference.
struct Names {
    dept: [&'static str; 3],
    person: [&'static str; 3],
    first: i64,
}

const SHOP: Names = Names { dept: ["dept", "name", "head_id"], person: ["person", "name", "dept_id"], first: 1 };
const CRM: Names = Names { dept: ["team", "title", "chief"], person: ["worker", "title", "team_no"], first: 500 };

/// Departments have heads, who work in a department: no foreign key takes anything along.
async fn departments(scene: &Scene) {
    for (lab, names) in [(&scene.source, SHOP), (&scene.target, CRM)] {
        let (key, text) = (lab.dialect().generated_key, lab.dialect().text);
        let ([dept, name, head], [person, own, of]) = (names.dept, names.person);
        let to_head = format!("foreign key ({head}) references {person} (id)");
        let sqlite = lab.url().starts_with("sqlite");
        let inline = if sqlite { format!(", {to_head}") } else { String::new() };
        lab.user(&format!("create table {dept} (id {key}, {name} {text} not null unique, {head} bigint{inline})")).await;
        let to_dept = format!("foreign key ({of}) references {dept} (id)");
        lab.user(&format!("create table {person} (id {key}, {own} {text} not null unique, {of} bigint not null, {to_dept})"))
            .await;
        if !sqlite {
            lab.user(&format!("alter table {dept} add {to_head}")).await;
        }
        lab.user(&format!("insert into {dept} (id, {name}) values ({}, 'nobody')", names.first)).await;
        lab.user(&format!("delete from {dept}")).await;
        if lab.url().starts_with("postgres") {
            lab.user(&format!("alter table {dept} alter column id restart with {}", names.first + 1)).await;
        }
    }
    let people = "    source: person\n    target: worker\n    match: [name]\n    safety: mirror\n    fields: {name: title, dept_id: {to: team_no, via: depts}}\n";
    let depts = "    source: dept\n    target: team\n    match: [name]\n    safety: mirror\n    fields: {name: title, head_id: {to: chief, via: people}}\n";
    scene.link(&[("people", people), ("depts", depts)]);
    for name in ["a", "b", "c"] {
        let mut tx = scene.source.open().await;
        tx.run(&format!("insert into dept (name) values ('{name}')")).await;
        tx.run(&format!("insert into person (name, dept_id) select 'head of {name}', id from dept where name = '{name}'")).await;
        tx.run(&format!("update dept set head_id = (select id from person where name = 'head of {name}') where name = '{name}'"))
            .await;
        tx.commit().await;
    }
    for _ in 0..2 {
        scene.sync().await;
    }
    assert_eq!(rows(&scene.target, LED).await, ["a|head of a", "b|head of b", "c|head of c"]);
    assert_eq!(rows(&scene.source, LEADING).await, rows(&scene.target, LED).await);
}

const LED: &str =
    "select team.title, worker.title from team join worker on worker.id = team.chief and worker.team_no = team.id order by 1";
const LEADING: &str =
    "select dept.name, person.name from dept join person on person.id = dept.head_id and person.dept_id = dept.id order by 1";

/// As an application does it: the reference first, and all in one transaction.
async fn dissolve(scene: &Scene, at_home: bool, name: &str) {
    let (lab, names) = if at_home { (&scene.target, CRM) } else { (&scene.source, SHOP) };
    let ([dept, title, head], [person, own, _]) = (names.dept, names.person);
    let mut tx = lab.open().await;
    tx.run(&format!("update {dept} set {head} = null where {title} = '{name}'")).await;
    tx.run(&format!("delete from {person} where {own} = 'head of {name}'")).await;
    tx.run(&format!("delete from {dept} where {title} = '{name}'")).await;
    tx.commit().await;
}

/// Towards the database of the state, and towards the other one; and nothing of it happens while a row is in the way that
/// nobody deletes.
pub async fn c15_both_sides_of_a_ring_go_together(scene: &Scene) {
    departments(scene).await;
    let key = scene.target.dialect().generated_key;
    scene.target.user(&format!("create table desk (id {key}, team bigint, foreign key (team) references team (id))")).await;
    scene.target.user("insert into desk (team) select id from team where title = 'b'").await;
    dissolve(scene, false, "a").await;
    dissolve(scene, false, "b").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("people", "deleted_target"), counts.of("depts", "deleted_target")), (1, 1));
    assert_eq!(rows(&scene.target, LED).await, ["b|head of b", "c|head of c"], "whole, or not at all");
    let held = scene.held().await;
    assert_eq!(held.len(), 2, "{held:?}");
    scene.quiet_but_held(2).await;
    scene.target.user("delete from desk").await;
    scene.program.run(&["held", "retry"]).await.code(0);
    scene.sync().await;
    assert_eq!(rows(&scene.target, LED).await, ["c|head of c"]);
    dissolve(scene, true, "c").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("people", "deleted_source"), counts.of("depts", "deleted_source")), (1, 1));
    for (lab, tables) in [(&scene.source, ["dept", "person"]), (&scene.target, ["team", "worker"])] {
        for table in tables {
            assert_eq!(rows(lab, &format!("select count(*) from {table}")).await, ["0"], "{table}");
        }
    }
    assert_eq!(scene.held().await, Vec::<String>::new());
    scene.quiet().await;
}

/// Staff with bosses, on both sides, in rings; `null`: whether there may be none.
async fn staff(scene: &Scene, null: &str) {
    for (lab, table, first) in [(&scene.source, "staff", 10), (&scene.target, "people", 700)] {
        let text = lab.dialect().text;
        let key = lab.dialect().generated_key;
        // The source has no foreign key, and lets its rows go as they are.
        let reference = if table == "people" { ", foreign key (boss) references people (id)" } else { "" };
        lab.user(&format!("create table {table} (id {key}, name {text} not null unique, boss bigint {null}{reference})")).await;
        let [a, b, c, d] = [first, first + 1, first + 2, first + 3];
        for (own, name) in [(a, "a"), (b, "b"), (c, "c"), (d, "d")] {
            lab.user(&format!("insert into {table} (id, name, boss) values ({own}, '{name}', {own})")).await;
        }
        for (own, boss) in [(a, b), (b, c), (c, a)] {
            lab.user(&format!("update {table} set boss = {boss} where id = {own}")).await;
        }
        if lab.url().starts_with("postgres") {
            lab.user(&format!("alter table {table} alter column id restart with {}", first + 4)).await;
        }
    }
    // They are twins before they refer to each other's.
    for boss in ["", ", boss: {to: boss, via: staff}"] {
        let fields = format!("    fields: {{name: name{boss}}}\n");
        let link = format!("    source: staff\n    target: people\n    match: [name]\n    safety: mirror\n{fields}");
        scene.link(&[("staff", &link)]);
        scene.sync().await;
    }
    assert_eq!(rows(&scene.target, "select count(*) from people").await, ["4"]);
    scene.quiet().await;
}

/// A ring of three, and one that is its own boss; and one of the ring was given a new boss meanwhile.
pub async fn c15_a_ring_within_a_table_goes_together(scene: &Scene) {
    staff(scene, "").await;
    scene.source.user("delete from staff").await;
    scene.target.user("insert into people (name, boss) select 'new', id from people where name = 'd'").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select name from people order by 1").await, ["d", "new"]);
    scene.target.user("delete from people where name = 'new'").await;
    scene.program.run(&["held", "retry"]).await.code(0);
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select name from people").await, [""; 0], "{:?}", scene.held().await);
    assert_eq!(scene.held().await, Vec::<String>::new());
    scene.quiet().await;
}

/// Where no column takes NULL, only a database that looks once a statement is done lets them go.
pub async fn c15_a_ring_that_takes_no_null_is_named(scene: &Scene) {
    staff(scene, "not null").await;
    scene.source.user("delete from staff where name <> 'd'").await;
    scene.sync().await;
    if scene.target.url().starts_with("postgres") {
        assert_eq!(rows(&scene.target, "select name from people").await, ["d"]);
        return;
    }
    assert_eq!(rows(&scene.target, "select count(*) from people").await, ["4"]);
    let held = scene.held().await;
    let named = |one: &&String| one.contains("people.boss -> ") && one.contains("let one take NULL");
    assert_eq!(held.iter().filter(named).count(), 3, "{held:?}");
    scene.quiet_but_held(3).await;
}
