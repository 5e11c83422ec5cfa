//! Tables that a job empties and fills again, with other numbers for the same records: the match rule says who is who
//! (rule 8, A20, C4).

use crate::scene::{Scene, rows, scenarios};

scenarios! { each_engine:
    c4_a_reload_under_each_others_numbers_leaves_each_record_its_twin,
    c4_a_number_given_to_another_in_one_transaction_is_a_new_record,
}

scenarios! { postgres_sqlite:
    c4_a_truncated_table_filled_under_other_numbers_leaves_each_record_its_twin,
}

const NAMES: [&str; 5] = ["Ada", "Ben", "Cai", "Dan", "Eve"];

/// Customers whose contacts have something that only the target knows.
async fn people(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    scene.target.user(&format!("alter table contact add note {}", scene.target.dialect().text)).await;
    for name in NAMES {
        scene.customer(&format!("{name}@x"), name).await;
    }
    scene.sync().await;
    for name in NAMES {
        scene.target.user(&format!("update contact set note = 'about {name}' where full_name = '{name}'")).await;
    }
    scene.sync().await;
}

async fn contacts(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select full_name, note from contact order by mail").await
}

/// Everybody but the first, each under the number of the one before.
async fn reload(scene: &Scene, empty: &str) {
    let ids = rows(&scene.source, "select id from customer order by id").await;
    let mut tx = scene.source.open().await;
    tx.run(empty).await;
    for (id, name) in ids.iter().zip(&NAMES[1..]) {
        tx.run(&format!("insert into customer (id, email, name) values ({id}, '{name}@x', '{name}')")).await;
    }
    tx.commit().await;
}

async fn each_has_its_own(scene: &Scene) {
    scene.sync().await;
    let own: Vec<String> = NAMES[1..].iter().map(|name| format!("{name}|about {name}")).collect();
    assert_eq!(contacts(scene).await, own);
    assert_eq!(scene.held().await, [""; 0], "at once");
    scene.quiet().await;
}

pub async fn c4_a_reload_under_each_others_numbers_leaves_each_record_its_twin(scene: &Scene) {
    people(scene).await;
    reload(scene, "delete from customer").await;
    each_has_its_own(scene).await;
}

pub async fn c4_a_truncated_table_filled_under_other_numbers_leaves_each_record_its_twin(scene: &Scene) {
    people(scene).await;
    reload(scene, "truncate customer restart identity cascade").await;
    each_has_its_own(scene).await;
}

pub async fn c4_a_number_given_to_another_in_one_transaction_is_a_new_record(scene: &Scene) {
    people(scene).await;
    let id = rows(&scene.source, "select id from customer where name = 'Ada'").await.remove(0);
    let mut tx = scene.source.open().await;
    tx.run("delete from customer where name = 'Ada'").await;
    tx.run(&format!("insert into customer (id, email, name) values ({id}, 'Zoe@x', 'Zoe')")).await;
    tx.commit().await;
    scene.sync().await;
    let names = rows(&scene.target, "select full_name from contact order by mail").await;
    assert_eq!(names, ["Ben", "Cai", "Dan", "Eve", "Zoe"]);
    assert_eq!(rows(&scene.target, "select mail from contact where note = 'about Ada'").await, [""; 0], "she went with it");
    scene.quiet().await;
}
