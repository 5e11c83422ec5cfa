//! Keys that change, are swapped, used again, shared, or have several parts.

use crate::scene::{CUSTOMERS, Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    step7_a_number_that_we_are_given_again_is_its_last_holders_no_more,
    c12_unique_values_are_swapped,
    c4_a_key_used_again_is_another_record,
    a14_replace_is_followed,
    a26_a_renamed_key_keeps_its_twin,
    s4_2_one_table_to_two_targets,
    c4_a_table_made_again_gives_its_numbers_to_others,
    c4_rows_deleted_and_put_back_keep_their_twins,
    c4_numbers_given_by_hand_go_to_others,
    c4_without_a_match_a_number_given_again_is_held,
}

scenarios! { postgres_sqlite:
    c4_a_truncated_table_gives_its_numbers_to_others,
    c4_a_table_made_again_gives_its_numbers_to_others,
    c4_rows_deleted_and_put_back_keep_their_twins,
    c4_numbers_given_by_hand_go_to_others,
    c4_without_a_match_a_number_given_again_is_held,
}

scenarios! { mysql_sqlite:
    step7_a_number_that_we_are_given_again_is_its_last_holders_no_more,
    c4_a_truncated_table_gives_its_numbers_to_others,
    c4_a_table_made_again_gives_its_numbers_to_others,
    c4_rows_deleted_and_put_back_keep_their_twins,
    c4_numbers_given_by_hand_go_to_others,
    c4_without_a_match_a_number_given_again_is_held,
}

scenarios! { mariadb_postgres:
    a26_a_renamed_key_keeps_its_twin,
    s4_2_one_table_to_two_targets,
    c4_a_truncated_table_gives_its_numbers_to_others,
    c4_a_table_made_again_gives_its_numbers_to_others,
}

scenarios! { postgres_mysql:
    c4_a_truncated_table_gives_its_numbers_to_others,
    c4_a_table_made_again_gives_its_numbers_to_others,
}

scenarios! { postgres_postgres:
    a26_a_renamed_key_keeps_its_twin,
    s4_2_one_table_to_two_targets,
}

scenarios! { mysql_mariadb:
    s4_2_one_table_to_two_targets,
}

async fn people(scene: &Scene, names: &[&str]) {
    scene.customers("    safety: mirror").await;
    for name in names {
        scene.customer(&format!("{name}@x"), name).await;
    }
    scene.sync().await;
}

async fn contacts(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select mail, full_name from contact order by full_name").await
}

/// The twins that were, by key.
async fn twins(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select contact_no from contact order by full_name").await
}

pub async fn c12_unique_values_are_swapped(scene: &Scene) {
    people(scene, &["a", "b"]).await;
    let before = twins(scene).await;
    let mut tx = scene.source.open().await;
    tx.run("update customer set email = 'tmp' where name = 'a'").await;
    tx.run("update customer set email = 'a@x' where name = 'b'").await;
    tx.run("update customer set email = 'b@x' where name = 'a'").await;
    tx.commit().await;
    scene.sync().await;
    assert_eq!(contacts(scene).await, ["b@x|a", "a@x|b"]);
    assert_eq!(twins(scene).await, before);
    scene.quiet().await;
}

pub async fn c12_unique_values_rotate_by_three(scene: &Scene) {
    people(scene, &["a", "b", "c", "d"]).await;
    let before = twins(scene).await;
    let mut tx = scene.source.open().await;
    tx.run("update customer set email = 'tmp' where name = 'a'").await;
    tx.run("update customer set email = 'a@x' where name = 'b'").await;
    tx.run("update customer set email = 'b@x' where name = 'c'").await;
    tx.run("update customer set email = 'c@x' where name = 'a'").await;
    tx.commit().await;
    scene.sync().await;
    assert_eq!(contacts(scene).await, ["c@x|a", "a@x|b", "b@x|c", "d@x|d"]);
    assert_eq!(twins(scene).await, before);
    scene.quiet().await;
}

/// SQLite without AUTOINCREMENT gives the highest key out again.
pub async fn c4_a_key_used_again_is_another_record(scene: &Scene) {
    scene.source.user("create table customer (id integer primary key, email text, name text, phone text)").await;
    scene.target.user("create table contact (contact_no integer primary key, mail text, full_name text, telephone text)").await;
    scene.link(&[("customers", &format!("{CUSTOMERS}    safety: mirror"))]);
    scene.customer("old@x", "Old").await;
    scene.customer("last@x", "Last").await;
    scene.sync().await;
    scene.source.user("delete from customer where email = 'last@x'").await;
    scene.customer("next@x", "Next").await;
    assert_eq!(rows(&scene.source, "select id, email from customer order by id").await, ["1|old@x", "2|next@x"]);
    scene.sync().await;
    assert_eq!(contacts(scene).await, ["next@x|Next", "old@x|Old"]);
    scene.quiet().await;
    // Under way: deleted and given out again between two runs, several times, ending with nothing.
    scene.source.user("delete from customer where email = 'next@x'").await;
    scene.customer("short@x", "Short").await;
    scene.source.user("delete from customer where email = 'short@x'").await;
    scene.sync().await;
    assert_eq!(contacts(scene).await, ["old@x|Old"]);
    scene.quiet().await;
}

/// Hidden deletes: two rows give way to one.
pub async fn a14_replace_is_followed(scene: &Scene) {
    people(scene, &["a", "b", "c"]).await;
    scene.source.user("insert or replace into customer (id, email, name) values (1, 'b@x', 'a and b')").await;
    assert_eq!(rows(&scene.source, "select id, email from customer order by id").await, ["1|b@x", "3|c@x"]);
    scene.sync().await;
    assert_eq!(contacts(scene).await, ["b@x|a and b", "c@x|c"]);
    scene.quiet().await;
}

pub async fn a26_a_renamed_key_keeps_its_twin(scene: &Scene) {
    people(scene, &["a", "b"]).await;
    let before = twins(scene).await;
    scene.source.user("update customer set id = 700 where name = 'a'").await;
    scene.target.user("update contact set contact_no = 9000 where full_name = 'b'").await;
    assert_eq!(scene.sync().await.writes(), 0);
    scene.source.user("update customer set phone = '1'").await;
    assert_eq!(scene.sync().await.of("customers", "updated_target"), 2);
    assert_eq!(contacts(scene).await, ["a@x|a", "b@x|b"]);
    assert_eq!(twins(scene).await, [before[0].as_str(), "9000"]);
    scene.quiet().await;
}

pub async fn keys_copy_brings_the_key_along(scene: &Scene) {
    for (lab, table, key, name) in [(&scene.source, "country", "code", "name"), (&scene.target, "land", "iso", "title")] {
        let text = lab.dialect().text;
        lab.user(&format!("create table {table} ({key} {text} not null primary key, {name} {text})")).await;
    }
    let link = "    source: country\n    target: land\n    keys: copy\n    safety: mirror\n    fields: {name: title}\n";
    scene.link(&[("countries", link)]);
    scene.source.user("insert into country values ('de', 'Germany'), ('fr', 'France')").await;
    scene.target.user("insert into land values ('fr', 'France'), ('pl', 'Poland')").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("countries", "linked"), counts.writes()), (1, 2));
    let all = ["de|Germany", "fr|France", "pl|Poland"];
    assert_eq!(rows(&scene.source, "select * from country order by 1").await, all);
    assert_eq!(rows(&scene.target, "select * from land order by 1").await, all);
    scene.source.user("update country set code = 'xx' where code = 'pl'").await;
    scene.target.user("delete from land where iso = 'fr'").await;
    scene.sync().await;
    assert_eq!(rows(&scene.source, "select * from country order by 1").await, ["de|Germany", "xx|Poland"]);
    assert_eq!(rows(&scene.target, "select * from land order by 1").await, ["de|Germany", "xx|Poland"]);
    scene.quiet().await;
}

pub async fn composite_keys_are_followed(scene: &Scene) {
    let text = scene.source.dialect().text;
    scene.source.user(&format!("create table line (doc {text}, pos bigint, body {text}, primary key (doc, pos))")).await;
    let text = scene.target.dialect().text;
    scene
        .target
        .user(&format!("create table row_of (number bigint, folder {text}, said {text}, primary key (folder, number))"))
        .await;
    let link = "    source: line\n    target: row_of\n    match: [doc, pos]\n    safety: mirror\n    fields: {doc: folder, pos: number, body: said}\n";
    scene.link(&[("lines", link)]);
    scene.source.user("insert into line values ('a', 1, 'one'), ('a', 2, 'two'), ('b', 1, 'uno')").await;
    scene.target.user("insert into row_of (folder, number, said) values ('c', 1, 'un')").await;
    scene.sync().await;
    let all = ["a|1|one", "a|2|two", "b|1|uno", "c|1|un"];
    assert_eq!(rows(&scene.source, "select * from line order by 1, 2").await, all);
    assert_eq!(rows(&scene.target, "select folder, number, said from row_of order by 1, 2").await, all);
    scene.source.user("update line set pos = 7 where doc = 'a' and pos = 2").await;
    scene.target.user("update row_of set said = 'ein' where folder = 'c'").await;
    scene.source.user("delete from line where doc = 'b'").await;
    scene.sync().await;
    let all = ["a|1|one", "a|7|two", "c|1|ein"];
    assert_eq!(rows(&scene.source, "select * from line order by 1, 2").await, all);
    assert_eq!(rows(&scene.target, "select folder, number, said from row_of order by 1, 2").await, all);
    scene.quiet().await;
}

/// A star: the source's table has a twin in two tables of the target.
pub async fn s4_2_one_table_to_two_targets(scene: &Scene) {
    scene.customers("").await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table mailing (no {key}, address {text} unique)")).await;
    let mailing =
        "    source: customer\n    target: mailing\n    match: [email]\n    safety: mirror\n    fields: {email: address}\n";
    scene.link(&[("customers", &format!("{CUSTOMERS}    safety: mirror")), ("mailing", mailing)]);
    scene.customer("a@x", "Ada").await;
    scene.contact("b@x", "Ben").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select address from mailing order by 1").await, ["a@x", "b@x"]);
    scene.target.user("insert into mailing (address) values ('c@x')").await;
    scene.source.user("delete from customer where email = 'a@x'").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select mail from contact order by 1").await, ["b@x", "c@x"]);
    assert_eq!(rows(&scene.target, "select address from mailing order by 1").await, ["b@x", "c@x"]);
    assert_eq!(rows(&scene.source, "select email from customer order by 1").await, ["b@x", "c@x"]);
    scene.quiet().await;
}

/// Each contact notes whose it is in a column no link knows of.
async fn noted(scene: &Scene, link: &str) {
    scene.customers("").await;
    scene.link(&[("customers", link)]);
    for name in ["a", "b", "c"] {
        scene.customer(&format!("{name}@x"), name).await;
    }
    scene.target.user(&format!("alter table contact add note {}", scene.target.dialect().text)).await;
    scene.sync().await;
    scene.target.user("update contact set note = mail").await;
    scene.sync().await;
}

async fn noted_mails(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select mail, coalesce(note, 'new') from contact order by mail").await
}

/// New people, and old ones in another order, under the numbers from 1: who is back finds the twin it had, and
/// nobody gets another's.
async fn others_come(scene: &Scene) {
    let before = contact_numbers(scene).await;
    new_people(scene).await;
    others_are_others(scene, before).await;
}

async fn contact_numbers(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select mail, contact_no from contact order by mail").await
}

async fn new_people(scene: &Scene) {
    for name in ["new1", "c", "a", "new2"] {
        scene.customer(&format!("{name}@x"), name).await;
    }
}

async fn others_are_others(scene: &Scene, before: Vec<String>) {
    for _ in 0..3 {
        scene.sync().await;
    }
    assert_eq!(noted_mails(scene).await, ["a@x|a@x", "b@x|b@x", "c@x|c@x", "new1@x|new", "new2@x|new"]);
    let after = rows(&scene.target, "select mail, contact_no from contact where note is not null order by mail").await;
    assert_eq!(after, before, "a twin is another row now");
    scene.source.user("update customer set name = 'later'").await;
    scene.sync().await;
    let later = rows(&scene.target, "select mail from contact where full_name = 'later' order by mail").await;
    assert_eq!(later, ["a@x", "c@x", "new1@x", "new2@x"]);
    scene.quiet().await;
}

pub async fn c4_a_truncated_table_gives_its_numbers_to_others(scene: &Scene) {
    noted(scene, CUSTOMERS).await;
    scene.source.user("drop table orders").await;
    let restart = if scene.source.url().starts_with("postgres") { "restart identity" } else { "" };
    scene.source.user(&format!("truncate table customer {restart}")).await;
    others_come(scene).await;
}

pub async fn c4_a_table_made_again_gives_its_numbers_to_others(scene: &Scene) {
    noted(scene, CUSTOMERS).await;
    scene.source.user("drop table orders").await;
    scene.source.user("drop table customer").await;
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    let columns = format!("id {key}, email {text} not null unique, name {text}, phone {text}");
    scene.source.user(&format!("create table customer ({columns})")).await;
    let before = contact_numbers(scene).await;
    new_people(scene).await;
    // However few they are: another table is a matter for a person.
    scene.sync().await;
    assert_eq!(contact_numbers(scene).await, before);
    scene.program.run(&["approve", "customers"]).await.code(0);
    others_are_others(scene, before).await;
}

pub async fn c4_rows_deleted_and_put_back_keep_their_twins(scene: &Scene) {
    noted(scene, CUSTOMERS).await;
    let before = rows(&scene.target, "select mail, contact_no from contact order by mail").await;
    let saved = rows(&scene.source, "select id, email from customer order by id").await;
    for synced_between in [false, true] {
        scene.source.user("delete from customer").await;
        if synced_between {
            scene.sync().await;
        }
        for row in &saved {
            let (id, email) = row.split_once('|').unwrap();
            scene
                .source
                .user(&format!("insert into customer (id, email, name) values ({id}, '{email}', 'back {synced_between}')"))
                .await;
        }
        scene.sync().await;
        let all = rows(&scene.target, "select mail, contact_no from contact order by mail").await;
        assert_eq!(all, before);
        let back = format!("select mail from contact where full_name = 'back {synced_between}'");
        assert_eq!(rows(&scene.target, &back).await.len(), 3);
        scene.quiet().await;
    }
}

pub async fn c4_numbers_given_by_hand_go_to_others(scene: &Scene) {
    noted(scene, CUSTOMERS).await;
    let saved = rows(&scene.source, "select id from customer order by id").await;
    scene.source.user("delete from customer").await;
    // (Not the last one first: on MySQL a delete with an insert of the same number right behind it is a REPLACE.)
    scene.source.user(&format!("insert into customer (id, email) values ({}, 'y@x')", saved[0])).await;
    scene.source.user(&format!("insert into customer (id, email) values ({}, 'x@x')", saved[2])).await;
    scene.sync().await;
    scene.sync().await;
    assert_eq!(noted_mails(scene).await, ["a@x|a@x", "b@x|b@x", "c@x|c@x", "x@x|new", "y@x|new"]);
    scene.quiet().await;
}

/// Nothing tells a changed record from another one: nothing is written, and a match rule resolves it.
pub async fn c4_without_a_match_a_number_given_again_is_held(scene: &Scene) {
    let unmatched = CUSTOMERS.replace("    match: [email]\n", "");
    assert_ne!(unmatched, CUSTOMERS);
    noted(scene, &unmatched).await;
    let saved = rows(&scene.source, "select id from customer order by id").await;
    scene.source.user("delete from customer").await;
    scene.source.user(&format!("insert into customer (id, email, name) values ({}, 'x@x', 'x')", saved[1])).await;
    scene.source.user(&format!("insert into customer (id, email, name) values ({}, 'a@x', 'changed')", saved[0])).await;
    scene.sync().await;
    assert_eq!(noted_mails(scene).await, ["a@x|a@x", "b@x|b@x", "c@x|c@x"]);
    let held = scene.held().await;
    assert_eq!(held.iter().filter(|one| one.contains("its key was another record's")).count(), 2, "{held:?}");
    scene.link(&[("customers", CUSTOMERS)]);
    scene.program.run(&["held", "retry"]).await.code(0);
    scene.sync().await;
    scene.sync().await;
    assert_eq!(noted_mails(scene).await, ["a@x|a@x", "b@x|b@x", "c@x|c@x", "x@x|new"]);
    assert_eq!(rows(&scene.target, "select mail from contact where full_name = 'changed'").await, ["a@x"]);
    scene.quiet().await;
}

/// Its last holder was deleted unseen, and the generator began anew: nobody but our own insert tells. (A sequence of PostgreSQL
/// gives the next number at the second try.)
pub async fn step7_a_number_that_we_are_given_again_is_its_last_holders_no_more(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    scene.configure("first_sync: auto\nstate: shop", &[("customers", &format!("{CUSTOMERS}    safety: mirror"))]);
    for name in ["a", "b"] {
        scene.customer(&format!("{name}@x"), name).await;
    }
    scene.sync().await;
    scene.unseen(&["delete from customer where id = 2"]).await;
    let anew = match scene.source.dialect().statements {
        "sql/mysql" => "alter table customer auto_increment = 2",
        _ => "update sqlite_sequence set seq = 1 where name = 'customer'",
    };
    scene.source.user(anew).await;
    scene.contact("c@x", "c").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "created_source"), counts.of("customers", "deleted_target")), (1, 1), "{counts:?}");
    assert_eq!(rows(&scene.source, "select id, email from customer order by id").await, ["1|a@x", "2|c@x"]);
    assert_eq!(contacts(scene).await, ["a@x|a", "c@x|c"]);
    scene.quiet().await;
}
