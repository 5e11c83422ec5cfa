//! A link that is taken out of the configuration for a while, when another one goes on with the same table: nobody keeps the log
//! for it (rule 6, C4, A26).

use crate::program::until;
use crate::scene::{CUSTOMERS, Scene, rows, scenarios};

scenarios! { each_engine:
    c4_a_link_put_back_hands_no_twin_to_a_record_with_its_key,
    c4_a_link_without_a_match_put_back_hands_no_twin_on,
    a26_a_link_put_back_follows_the_keys_that_changed_meanwhile,
}

const NAMES: [&str; 3] = ["Ada", "Ben", "Cai"];

/// The second link on the same table, with or without a match.
fn second(matching: &str) -> String {
    format!("    source: customer\n    target: person\n{matching}    safety: mirror\n    fields: {{email: mail, name: called}}")
}

fn first() -> String {
    format!("{CUSTOMERS}    safety: mirror")
}

const MATCH: &str = "    match: [email]\n";

/// Three people in all tables; in the second link's the target knows something of its own. Then that link is taken out.
async fn taken_out(scene: &Scene, matching: &str) {
    scene.customers("").await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table person (nr {key}, mail {text}, called {text}, note {text})")).await;
    scene.link(&[("customers", &first()), ("people", &second(matching))]);
    for name in NAMES {
        scene.customer(&format!("{name}@x"), name).await;
    }
    scene.sync().await;
    scene.target.user("update person set note = called").await;
    scene.sync().await;
    scene.link(&[("customers", &first())]);
    scene.sync().await;
}

async fn put_back(scene: &Scene, matching: &str) {
    scene.link(&[("customers", &first()), ("people", &second(matching))]);
    for _ in 0..2 {
        scene.sync().await;
    }
}

async fn id(scene: &Scene, name: &str) -> String {
    rows(&scene.source, &format!("select id from customer where name = '{name}'")).await.remove(0)
}

async fn people(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select mail, called, coalesce(note, 'new') from person order by mail").await
}

/// Another person gets Cai's number, and Ben another name.
async fn number_given_away(scene: &Scene) {
    let cai = id(scene, "Cai").await;
    scene.source.user("delete from customer where name = 'Cai'").await;
    scene.source.user("update customer set name = 'Benno' where name = 'Ben'").await;
    scene.source.user(&format!("insert into customer (id, email, name) values ({cai}, 'Zoe@x', 'Zoe')")).await;
    scene.sync().await;
}

pub async fn c4_a_link_put_back_hands_no_twin_to_a_record_with_its_key(scene: &Scene) {
    taken_out(scene, MATCH).await;
    number_given_away(scene).await;
    put_back(scene, MATCH).await;
    assert_eq!(people(scene).await, ["Ada@x|Ada|Ada", "Ben@x|Benno|Ben", "Zoe@x|Zoe|new"]);
    scene.quiet().await;
}

pub async fn c4_a_link_without_a_match_put_back_hands_no_twin_on(scene: &Scene) {
    taken_out(scene, "").await;
    number_given_away(scene).await;
    put_back(scene, "").await;
    // Cai goes first, and then this is a new one.
    until("there is a Zoe", || async {
        scene.sync().await;
        people(scene).await.len() == 3
    })
    .await;
    assert_eq!(people(scene).await, ["Ada@x|Ada|Ada", "Ben@x|Benno|Ben", "Zoe@x|Zoe|new"]);
    scene.quiet().await;
}

pub async fn a26_a_link_put_back_follows_the_keys_that_changed_meanwhile(scene: &Scene) {
    taken_out(scene, "").await;
    let ada = id(scene, "Ada").await;
    scene.source.user(&format!("update customer set id = {ada} + 70, name = 'Adele' where id = {ada}")).await;
    scene.sync().await;
    put_back(scene, "").await;
    assert_eq!(people(scene).await, ["Ada@x|Adele|Ada", "Ben@x|Ben|Ben", "Cai@x|Cai|Cai"]);
    scene.quiet().await;
}
