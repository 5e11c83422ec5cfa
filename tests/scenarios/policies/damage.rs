//! What happens to tracking objects behind our back: found, repaired, compared (A11, A17, A30, A31).

use std::time::Instant;

use crate::program::{PATIENCE, until};
use crate::scene::{Scene, rows, scenarios};
use crate::support::Damage;

scenarios! { sqlite_sqlite:
    a17_damaged_tracking_is_repaired_while_running,
    a17_damage_while_stopped_is_repaired_by_the_next_run,
    a17_a_gap_repaired_by_hand_is_compared,
    a30_a_renamed_key_is_found_while_running,
    a31_a_swapped_table_is_found_while_running,
}

scenarios! { postgres_postgres:
    a17_damaged_tracking_is_repaired_while_running,
    a17_damage_while_stopped_is_repaired_by_the_next_run,
    a17_a_gap_repaired_by_hand_is_compared,
    a30_a_renamed_key_is_found_while_running,
    a31_a_swapped_table_is_found_while_running,
}

scenarios! { mysql_mariadb:
    a17_damaged_tracking_is_repaired_while_running,
    a17_damage_while_stopped_is_repaired_by_the_next_run,
    a17_a_gap_repaired_by_hand_is_compared,
    a30_a_renamed_key_is_found_while_running,
    a31_a_swapped_table_is_found_while_running,
}

scenarios! { postgres_mysql:
    a17_damaged_tracking_is_repaired_while_running,
    a17_a_gap_repaired_by_hand_is_compared,
    a31_a_swapped_table_is_found_while_running,
}

scenarios! { mariadb_postgres:
    a17_damaged_tracking_is_repaired_while_running,
    a17_a_gap_repaired_by_hand_is_compared,
    a30_a_renamed_key_is_found_while_running,
    a31_a_swapped_table_is_found_while_running,
}

scenarios! { postgres13_mariadb118 matrix:
    a17_damaged_tracking_is_repaired_while_running,
    a17_damage_while_stopped_is_repaired_by_the_next_run,
    a17_a_gap_repaired_by_hand_is_compared,
    a30_a_renamed_key_is_found_while_running,
    a31_a_swapped_table_is_found_while_running,
}

scenarios! { mariadb118_postgres17 matrix:
    a17_damaged_tracking_is_repaired_while_running,
    a17_damage_while_stopped_is_repaired_by_the_next_run,
    a17_a_gap_repaired_by_hand_is_compared,
    a30_a_renamed_key_is_found_while_running,
    a31_a_swapped_table_is_found_while_running,
}

const ALL: [Damage; 4] = [Damage::TriggerDropped, Damage::TriggerAltered, Damage::LogDropped, Damage::LogRecreated];

async fn two(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    scene.customer("a@x", "Ada").await;
    scene.contact("b@x", "Ben").await;
    scene.sync().await;
}

/// Changes one record of each side's own, without being seen by a damaged trigger: at least by one of them.
async fn change(scene: &Scene, name: &str) {
    // Without its log, a trigger refuses the application's write; that is what the repair is for.
    for sql in [
        format!("update customer set name = '{name}' where email = 'a@x'"),
        format!("insert into customer (email, name) values ('{name}@x', 'new')"),
        "delete from customer where email like 'gone%'".to_owned(),
        format!("insert into customer (email, name) values ('gone {name}', 'gone')"),
    ] {
        let began = Instant::now();
        while let Err(cause) = scene.source.try_user(&sql).await {
            assert!(began.elapsed() < PATIENCE, "the application may not write: {cause}\n{}", scene.program.log());
            // SQLite looks at a new definition only where one that it remembers is whole.
            scene.source.user_rows("select count(*) from customer").await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

async fn same(scene: &Scene) -> bool {
    let source = rows(&scene.source, "select email, name from customer order by email").await;
    source == rows(&scene.target, "select mail, full_name from contact order by mail").await
}

pub async fn a17_damaged_tracking_is_repaired_while_running(scene: &Scene) {
    two(scene).await;
    let mut child = scene.program.start(&["run"], None);
    until("it runs", || async { scene.program.log().contains("both runs") }).await;
    for (i, damage) in ALL.into_iter().enumerate() {
        scene.source.damage("customer", damage).await;
        change(scene, &format!("unseen{i}")).await;
        let began = Instant::now();
        while !same(scene).await {
            assert!(child.try_wait().unwrap().is_none(), "{damage:?}: it ended\n{}", scene.program.log());
            assert!(began.elapsed() < PATIENCE, "{damage:?}: never found\n{}", scene.program.log());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        // It is whole again: the next change needs no compare.
        change(scene, &format!("seen{i}")).await;
        until("the next change arrives", || same(scene)).await;
    }
    end(child).await;
    scene.quiet().await;
}

pub async fn a17_damage_while_stopped_is_repaired_by_the_next_run(scene: &Scene) {
    two(scene).await;
    for (i, damage) in [Damage::TriggerDropped, Damage::TriggerAltered, Damage::LogRecreated].into_iter().enumerate() {
        scene.source.damage("customer", damage).await;
        change(scene, &format!("unseen{i}")).await;
        scene.sync().await;
        assert!(same(scene).await, "{damage:?}");
        scene.quiet().await;
    }
}

/// Whoever repairs it, and however long before the next run: what the gap hid is compared.
pub async fn a17_a_gap_repaired_by_hand_is_compared(scene: &Scene) {
    two(scene).await;
    for (i, damage) in [Damage::TriggerDropped, Damage::TriggerAltered, Damage::LogRecreated].into_iter().enumerate() {
        for by_script in [false, true] {
            scene.source.damage("customer", damage).await;
            change(scene, &format!("unseen{i}{by_script}")).await;
            if by_script {
                let scripts = scene.ask(&["install", "--print-sql"]).await;
                scene.source.script(scripts["shop"].as_str().unwrap()).await;
            } else {
                scene.program.run(&["install"]).await.code(0);
            }
            scene.sync().await;
            assert!(same(scene).await, "{damage:?} {by_script}");
            scene.quiet().await;
        }
    }
}

pub async fn a30_a_renamed_key_is_found_while_running(scene: &Scene) {
    two(scene).await;
    let mut child = scene.program.start(&["run"], None);
    until("it runs", || async { scene.program.log().contains("both runs") }).await;
    scene.source.user("alter table customer rename column id to customer_id").await;
    change(scene, "renamed").await;
    until("what was changed meanwhile arrives", || same(scene)).await;
    change(scene, "later").await;
    until("what is changed later arrives", || same(scene)).await;
    assert!(child.try_wait().unwrap().is_none(), "it has ended: {}", scene.program.log());
    end(child).await;
    scene.quiet().await;
}

/// As gh-ost, pt-online-schema-change and SQLite's twelve steps do it.
pub async fn a31_a_swapped_table_is_found_while_running(scene: &Scene) {
    two(scene).await;
    let child = scene.program.start(&["run"], None);
    until("it runs", || async { scene.program.log().contains("both runs") }).await;
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    let new =
        format!("create table customer_new (id {key}, email {text} not null unique, name {text}, phone {text}, note {text})");
    scene.source.user(&new).await;
    scene.source.user("insert into customer_new (id, email, name, phone) select id, email, name, phone from customer").await;
    // At once, as those tools do.
    if scene.source.url().starts_with("mysql") || scene.source.url().starts_with("mariadb") {
        scene.source.user("rename table customer to customer_old, customer_new to customer").await;
    } else {
        let mut tx = scene.source.open().await;
        tx.run("alter table customer rename to customer_old").await;
        tx.run("alter table customer_new rename to customer").await;
        tx.commit().await;
    }
    change(scene, "swapped").await;
    until("the swapped table is compared", || same(scene)).await;
    change(scene, "later").await;
    until("its changes are seen", || same(scene)).await;
    end(child).await;
    scene.quiet().await;
}

async fn end(mut child: tokio::process::Child) {
    let id = child.id().unwrap().to_string();
    tokio::process::Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
    child.wait().await.unwrap();
}
