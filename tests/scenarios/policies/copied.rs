//! `keys: copy`: both sides share the key, which may be used again, changed, or exchanged.

use crate::scene::{Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    c4_a_copied_key_used_again_inherits_nothing,
    c4_a_copied_key_used_again_travels_after_its_delete,
    c4_a_copied_number_used_again_is_another_record,
    c4_a_number_copied_into_a_column_proves_nothing,
    rule22_copied_keys_are_exchanged,
    rule22_copied_keys_rotate_where_the_state_is_elsewhere,
    rule22_keys_that_nobody_can_give_away_are_held,
    i6_the_brake_counts_records_whose_keys_were_used_again,
}

scenarios! { sqlite_postgres:
    c4_a_copied_key_used_again_inherits_nothing,
    c4_a_copied_number_used_again_is_another_record,
    rule22_copied_keys_are_exchanged,
    rule22_copied_keys_rotate_where_the_state_is_elsewhere,
    rule22_keys_that_nobody_can_give_away_are_held,
}

scenarios! { postgres_mysql:
    c4_a_copied_key_used_again_inherits_nothing,
    c4_a_copied_key_used_again_travels_after_its_delete,
    c4_a_number_copied_into_a_column_proves_nothing,
    rule22_copied_keys_are_exchanged,
    rule22_copied_keys_rotate_where_the_state_is_elsewhere,
    rule22_keys_that_nobody_can_give_away_are_held,
    i6_the_brake_counts_records_whose_keys_were_used_again,
}

scenarios! { mysql_mariadb:
    c4_a_copied_key_used_again_inherits_nothing,
    c4_a_copied_key_used_again_travels_after_its_delete,
    c4_a_copied_number_used_again_is_another_record,
    rule22_copied_keys_are_exchanged,
    rule22_copied_keys_rotate_where_the_state_is_elsewhere,
    rule22_keys_that_nobody_can_give_away_are_held,
    i6_the_brake_counts_records_whose_keys_were_used_again,
}

scenarios! { mariadb_postgres:
    c4_a_copied_key_used_again_travels_after_its_delete,
    rule22_copied_keys_are_exchanged,
}

const COUNTRIES: &str = "    source: country\n    target: land\n    keys: copy\n    fields: {name: title}\n";

/// Countries by their code; the target notes whose row it was in a column no link knows of.
async fn countries(scene: &Scene, more: &str, top: &str) {
    let (from, to) = (scene.source.dialect().text, scene.target.dialect().text);
    scene.source.user(&format!("create table country (code {from} primary key, name {from})")).await;
    scene.target.user(&format!("create table land (iso {to} primary key, title {to}, note {to})")).await;
    scene.configure(&format!("first_sync: auto\n{top}"), &[("countries", &format!("{COUNTRIES}{more}"))]);
    scene.source.user("insert into country values ('de', 'Germany'), ('fr', 'France'), ('pl', 'Poland'), ('es', 'Spain')").await;
    scene.sync().await;
    scene.target.user("update land set note = title").await;
    scene.sync().await;
}

async fn lands(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select iso, title, coalesce(note, 'new') from land order by iso").await
}

pub async fn c4_a_copied_key_used_again_inherits_nothing(scene: &Scene) {
    countries(scene, "", "").await;
    let before = lands(scene).await;
    for synced_between in [false, true] {
        scene.source.user("delete from country where code = 'de'").await;
        if synced_between {
            scene.sync().await;
        }
        scene.source.user("insert into country values ('de', 'Delaware')").await;
        for _ in 0..3 {
            scene.sync().await;
        }
        assert_eq!(lands(scene).await, before);
        let held = scene.held().await;
        assert!(held.len() == 1 && held[0].contains("source de: held: its key was another record's"), "{held:?}");
        // It was the same one after all.
        scene.source.user("update country set name = 'Germany' where code = 'de'").await;
        scene.sync().await;
        assert_eq!(scene.held().await, [""; 0]);
        scene.quiet().await;
    }
    scene.source.user("update country set name = 'Deutschland' where code = 'de'").await;
    scene.sync().await;
    assert_eq!(lands(scene).await[0], "de|Deutschland|Germany");
    // It was not, and a person makes room for it.
    scene.source.user("delete from country where code = 'fr'").await;
    scene.source.user("insert into country values ('fr', 'Friesland')").await;
    scene.sync().await;
    scene.target.user("delete from land where iso = 'fr'").await;
    scene.sync().await;
    scene.program.run(&["held", "retry"]).await.code(0);
    scene.sync().await;
    assert_eq!(lands(scene).await[2], "fr|Friesland|new");
    scene.quiet().await;
}

pub async fn c4_a_copied_key_used_again_travels_after_its_delete(scene: &Scene) {
    countries(scene, "    safety: mirror\n", "").await;
    scene.source.user("delete from country where code = 'de'").await;
    scene.source.user("insert into country values ('de', 'Delaware')").await;
    scene.target.user("delete from land where iso = 'fr'").await;
    scene.target.user("insert into land (iso, title) values ('fr', 'Friesland')").await;
    for _ in 0..3 {
        scene.sync().await;
    }
    assert_eq!(lands(scene).await, ["de|Delaware|new", "es|Spain|Spain", "fr|Friesland|new", "pl|Poland|Poland"]);
    let all = ["de|Delaware", "es|Spain", "fr|Friesland", "pl|Poland"];
    assert_eq!(rows(&scene.source, "select * from country order by code").await, all);
    assert_eq!(scene.held().await, [""; 0]);
    scene.quiet().await;
}

/// A match rule tells who it is; where it is another one, its number is still the survivor's.
pub async fn c4_a_copied_number_used_again_is_another_record(scene: &Scene) {
    let text = |lab: &std::sync::Arc<dyn crate::support::Lab>| (lab.dialect().generated_key, lab.dialect().text);
    let ((key, from), (their_key, to)) = (text(&scene.source), text(&scene.target));
    scene.source.user(&format!("create table person (id {key}, email {from}, name {from})")).await;
    scene.target.user(&format!("create table member (no {their_key}, mail {to}, called {to})")).await;
    let link =
        "    source: person\n    target: member\n    keys: copy\n    match: [email]\n    fields: {email: mail, name: called}\n";
    scene.link(&[("people", link)]);
    scene.source.user("insert into person (id, email, name) values (7, 'ann@x', 'Ann'), (8, 'bob@x', 'Bob')").await;
    scene.sync().await;
    scene.source.user("delete from person").await;
    scene.sync().await;
    scene.source.user("insert into person (id, email, name) values (7, 'cid@x', 'Cid'), (8, 'bob@x', 'Robert')").await;
    for _ in 0..3 {
        scene.sync().await;
    }
    assert_eq!(rows(&scene.target, "select no, mail, called from member order by no").await, ["7|ann@x|Ann", "8|bob@x|Robert"]);
    let held = scene.held().await;
    assert!(held.len() == 1 && held[0].contains("source 7: held: its key was another record's"), "{held:?}");
    scene.quiet().await;
}

/// The other side keeps our number in a column, and is matched by it: the number alone is no evidence either.
pub async fn c4_a_number_copied_into_a_column_proves_nothing(scene: &Scene) {
    let (key, from) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    let (their_key, to) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.source.user(&format!("create table person (id {key}, name {from})")).await;
    scene.target.user(&format!("create table member (no {their_key}, legacy bigint, called {to}, note {to})")).await;
    scene.target.user("insert into member (no, called) values (900, 'nobody')").await;
    scene.target.user("delete from member").await;
    let link = "    source: person\n    target: member\n    match: [id]\n    fields:\n      id: {to: legacy, direction: to_target}\n      name: called\n";
    scene.link(&[("people", link)]);
    scene.source.user("insert into person (id, name) values (7, 'Ann'), (8, 'Bob')").await;
    scene.sync().await;
    scene.source.user("delete from person").await;
    scene.sync().await;
    scene.source.user("insert into person (id, name) values (7, 'Cid'), (8, 'Bob')").await;
    for _ in 0..3 {
        scene.sync().await;
    }
    assert_eq!(rows(&scene.target, "select legacy, called from member order by legacy").await, ["7|Ann", "8|Bob"]);
    let held = scene.held().await;
    assert!(held.len() == 1 && held[0].contains("source 7: held: its key was another record's"), "{held:?}");
    scene.source.user("update person set name = 'Bobby' where id = 8").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select called from member where legacy = 8").await, ["Bobby"]);
    scene.quiet().await;
}

pub async fn rule22_copied_keys_are_exchanged(scene: &Scene) {
    countries(scene, "", "").await;
    let mut tx = scene.source.open().await;
    tx.run("update country set code = 'xx' where code = 'de'").await;
    tx.run("update country set code = 'de', name = 'La France' where code = 'fr'").await;
    tx.run("update country set code = 'fr' where code = 'xx'").await;
    tx.commit().await;
    scene.sync().await;
    let exchanged = ["de|La France|France", "es|Spain|Spain", "fr|Germany|Germany", "pl|Poland|Poland"];
    assert_eq!(lands(scene).await, exchanged);
    assert_eq!(scene.held().await, [""; 0]);
    scene.quiet().await;
    // And back, from the other side.
    let mut tx = scene.target.open().await;
    tx.run("update land set iso = 'xx' where iso = 'de'").await;
    tx.run("update land set iso = 'de' where iso = 'fr'").await;
    tx.run("update land set iso = 'fr' where iso = 'xx'").await;
    tx.commit().await;
    scene.sync().await;
    let back = ["de|Germany", "es|Spain", "fr|La France", "pl|Poland"];
    assert_eq!(rows(&scene.source, "select * from country order by code").await, back);
    scene.quiet().await;
}

/// Numbers, three in a ring and a chain behind them; what the other database wrote is known by its receipts.
pub async fn rule22_copied_keys_rotate_where_the_state_is_elsewhere(scene: &Scene) {
    let (from, to) = (scene.source.dialect().text, scene.target.dialect().text);
    scene.source.user(&format!("create table shelf (id bigint primary key, name {from})")).await;
    scene.target.user(&format!("create table rack (no bigint primary key, title {to}, note {to})")).await;
    let link = "    source: shelf\n    target: rack\n    keys: copy\n    fields: {name: title}\n";
    scene.configure("first_sync: auto\nstate: shop", &[("shelves", link)]);
    scene.source.user("insert into shelf values (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e')").await;
    scene.sync().await;
    scene.target.user("update rack set note = title").await;
    scene.sync().await;
    let mut tx = scene.source.open().await;
    for (was, is) in [(1, 9), (3, 1), (2, 3), (9, 2), (5, 50), (4, 5)] {
        tx.run(&format!("update shelf set id = {is} where id = {was}")).await;
    }
    tx.commit().await;
    scene.sync().await;
    let turned = ["1|c|c", "2|a|a", "3|b|b", "5|d|d", "50|e|e"];
    assert_eq!(rows(&scene.target, "select no, title, note from rack order by no").await, turned);
    assert_eq!(scene.held().await, [""; 0]);
    scene.quiet().await;
}

/// Rows of a table in no link refer to the two, and do not follow.
pub async fn rule22_keys_that_nobody_can_give_away_are_held(scene: &Scene) {
    countries(scene, "", "").await;
    let to = scene.target.dialect().text;
    scene.target.user(&format!("create table town (name {to}, iso {to}, foreign key (iso) references land (iso))")).await;
    scene.target.user("insert into town values ('Bonn', 'de'), ('Lyon', 'fr')").await;
    let before = lands(scene).await;
    let mut tx = scene.source.open().await;
    tx.run("update country set code = 'xx' where code = 'de'").await;
    tx.run("update country set code = 'de' where code = 'fr'").await;
    tx.run("update country set code = 'fr' where code = 'xx'").await;
    tx.commit().await;
    for _ in 0..3 {
        scene.sync().await;
    }
    assert_eq!(lands(scene).await, before);
    let held = scene.held().await;
    // The rows that refer to them are named, or that the two are in each other's way.
    let told =
        |one: &&String| one.contains("a row refers to it") || one.contains("its new key is another record's in the target");
    assert_eq!((held.iter().filter(told).count(), held.len()), (2, 2), "{held:?}");
    scene.target.user("delete from town").await;
    scene.program.run(&["held", "retry"]).await.code(0);
    scene.sync().await;
    assert_eq!(lands(scene).await, ["de|France|France", "es|Spain|Spain", "fr|Germany|Germany", "pl|Poland|Poland"]);
    scene.quiet().await;
}

/// A record that is asked about does not take the place of the one that was lost.
pub async fn i6_the_brake_counts_records_whose_keys_were_used_again(scene: &Scene) {
    countries(scene, "    safety: mirror\n    brake: {deletes: {count: 1, percent: 10}}\n", "").await;
    let before = lands(scene).await;
    scene.source.user("delete from country where code <> 'es'").await;
    scene.source.user("insert into country values ('de', 'Delaware'), ('fr', 'Friesland'), ('pl', 'Palau')").await;
    for _ in 0..6 {
        scene.sync().await;
        scene.program.run(&["held", "retry"]).await.code(0);
    }
    assert_eq!(lands(scene).await, before);
    scene.program.run(&["approve", "countries"]).await.code(0);
    for _ in 0..3 {
        scene.sync().await;
    }
    assert_eq!(lands(scene).await, ["de|Delaware|new", "es|Spain|Spain", "fr|Friesland|new", "pl|Palau|new"]);
    scene.quiet().await;
}
