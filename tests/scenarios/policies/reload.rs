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

scenarios! { sqlite_sqlite:
    i2_a_record_saved_by_replace_under_another_match_value_keeps_its_twin,
    c4_a_reload_by_replace_under_each_others_numbers_leaves_each_record_its_twin,
}

scenarios! { mysql_sqlite:
    i2_a_record_saved_by_replace_under_another_match_value_keeps_its_twin,
    c4_a_reload_by_replace_under_each_others_numbers_leaves_each_record_its_twin,
}

scenarios! { mariadb_sqlite:
    i2_a_record_saved_by_replace_under_another_match_value_keeps_its_twin,
    c4_a_reload_by_replace_under_each_others_numbers_leaves_each_record_its_twin,
}

scenarios! { postgres_mysql:
    i2_a_record_put_back_and_given_another_match_value_waits_for_a_person,
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

/// What is saved by a REPLACE, as some libraries do it, is the same record whatever it has now.
pub async fn i2_a_record_saved_by_replace_under_another_match_value_keeps_its_twin(scene: &Scene) {
    let replace = scene.source.dialect().replace.unwrap();
    people(scene).await;
    let id = |name: &'static str| async move {
        rows(&scene.source, &format!("select id from customer where name = '{name}'")).await.remove(0)
    };
    let (ben, dan) = (id("Ben").await, id("Dan").await);
    scene.source.user(&format!("{replace} customer (id, email, name) values ({ben}, 'new@x', 'Ben')")).await;
    // The same values first, others before anybody looked.
    scene.source.user(&format!("{replace} customer (id, email, name) values ({dan}, 'Dan@x', 'Dan')")).await;
    scene.source.user(&format!("update customer set email = 'other@x' where id = {dan}")).await;
    scene.sync().await;
    let now = rows(&scene.target, "select mail, note from contact order by note").await;
    assert_eq!(now, ["Ada@x|about Ada", "new@x|about Ben", "Cai@x|about Cai", "other@x|about Dan", "Eve@x|about Eve"]);
    scene.quiet().await;
}

pub async fn c4_a_reload_by_replace_under_each_others_numbers_leaves_each_record_its_twin(scene: &Scene) {
    let replace = scene.source.dialect().replace.unwrap();
    people(scene).await;
    let ids = rows(&scene.source, "select id from customer order by id").await;
    let mut tx = scene.source.open().await;
    for (id, name) in ids.iter().zip(&NAMES[1..]) {
        tx.run(&format!("{replace} customer (id, email, name) values ({id}, '{name}@x', '{name}')")).await;
    }
    tx.commit().await;
    each_has_its_own(scene).await;
}

/// Whether it is the same one with another value, or another one with another name: nothing tells, and nothing is done.
pub async fn i2_a_record_put_back_and_given_another_match_value_waits_for_a_person(scene: &Scene) {
    people(scene).await;
    let id = rows(&scene.source, "select id from customer where name = 'Ben'").await.remove(0);
    let before = contacts(scene).await;
    let mut tx = scene.source.open().await;
    tx.run(&format!("delete from customer where id = {id}")).await;
    tx.run(&format!("insert into customer (id, email, name) values ({id}, 'Ben@x', 'Ben')")).await;
    tx.commit().await;
    scene.source.user(&format!("update customer set email = 'new@x' where id = {id}")).await;
    scene.sync().await;
    let held = scene.held().await;
    assert!(held.iter().any(|held| held.contains("put back in one transaction")), "{held:?}");
    assert_eq!(contacts(scene).await, before);
    // The same one, says the person, and gives it back what it had; then it may change.
    scene.source.user(&format!("update customer set email = 'Ben@x' where id = {id}")).await;
    scene.sync().await;
    scene.source.user(&format!("update customer set email = 'new@x' where id = {id}")).await;
    scene.sync().await;
    assert_eq!(
        (contacts(scene).await, scene.held().await),
        (
            vec![
                "Ada|about Ada".to_owned(),
                "Cai|about Cai".to_owned(),
                "Dan|about Dan".to_owned(),
                "Eve|about Eve".to_owned(),
                "Ben|about Ben".to_owned(),
            ],
            Vec::new()
        )
    );
    scene.quiet().await;
}
