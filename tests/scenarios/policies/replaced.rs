//! Another table, or another database, where the identity map knows one: it is noticed before a record gets another's
//! values, and what only looks so (a table a tool has swapped) is not taken for it.

use crate::scene::{CUSTOMERS, Counts, Scene, rows, scenarios};
use crate::support::sqlite;

scenarios! { sqlite_sqlite:
    a31_a_swapped_table_in_which_some_changed_is_the_same_table,
    i6_a_swapped_table_in_which_most_changed_asks,
    c4_a_link_pointed_at_another_table_asks,
    rule17_an_endpoint_may_be_renamed_but_not_replaced,
    source_and_target_can_not_be_exchanged,
    i2_a_link_under_another_name_makes_nothing_twice,
}

scenarios! { sqlite_postgres:
    i6_nothing_is_written_into_a_table_in_doubt,
    i6_what_waited_for_a_table_in_doubt_comes_with_its_approval,
    a31_a_swapped_table_in_which_some_changed_is_the_same_table,
    i6_a_swapped_table_in_which_most_changed_asks,
    c4_a_link_pointed_at_another_table_asks,
    rule17_an_endpoint_may_be_renamed_but_not_replaced,
    source_and_target_can_not_be_exchanged,
    i2_a_link_under_another_name_makes_nothing_twice,
}

scenarios! { mysql_postgres:
    i6_a_table_that_gets_another_primary_key_asks,
}

scenarios! { postgres_mysql:
    i6_nothing_is_written_into_a_table_in_doubt,
    i6_what_waited_for_a_table_in_doubt_comes_with_its_approval,
    i6_a_table_that_gets_another_primary_key_asks,
    a31_a_swapped_table_in_which_some_changed_is_the_same_table,
    i6_a_swapped_table_in_which_most_changed_asks,
    c4_a_link_pointed_at_another_table_asks,
}

scenarios! { postgres_mariadb:
    i6_nothing_is_written_into_a_table_in_doubt,
    i6_what_waited_for_a_table_in_doubt_comes_with_its_approval,
    a31_a_swapped_table_in_which_some_changed_is_the_same_table,
    i6_a_swapped_table_in_which_most_changed_asks,
}

const PEOPLE: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Five people on both sides; the CRM keeps something in a column that no link knows of.
async fn five(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    scene.target.user(&format!("alter table contact add column own {}", scene.target.dialect().text)).await;
    for name in PEOPLE {
        scene.customer(&format!("{name}@x"), name).await;
    }
    scene.sync().await;
    scene.target.user("update contact set own = full_name").await;
    scene.sync().await;
    scene.quiet().await;
}

/// A table like `contact` under another name.
async fn like_contact(scene: &Scene, name: &str) {
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    let columns = format!("contact_no {key}, mail {text} not null unique, full_name {text}, telephone {text}, own {text}");
    scene.target.user(&format!("create table {name} ({columns})")).await;
}

/// As gh-ost and pt-online-schema-change do it, with what happened before anybody could see it.
async fn swap(scene: &Scene, meanwhile: &str) {
    like_contact(scene, "contact_new").await;
    let columns = "contact_no, mail, full_name, telephone, own";
    scene.target.user(&format!("insert into contact_new ({columns}) select {columns} from contact")).await;
    scene.target.user(meanwhile).await;
    // The orders' table refers to it, and is not linked.
    scene.target.user("drop table deal").await;
    if scene.target.url().starts_with("my") || scene.target.url().starts_with("maria") {
        scene.target.user("rename table contact to contact_old, contact_new to contact").await;
    } else {
        let mut tx = scene.target.open().await;
        tx.run("alter table contact rename to contact_old").await;
        tx.run("alter table contact_new rename to contact").await;
        tx.commit().await;
    }
}

async fn customers(scene: &Scene) -> Vec<String> {
    rows(&scene.source, "select id, email, name from customer order by id").await
}

async fn contacts(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select contact_no, mail, full_name, own from contact order by contact_no").await
}

async fn brake_holds(scene: &Scene) {
    let status = scene.program.run(&["status"]).await.code(0);
    assert!(status.out.contains("BRAKE"), "{}", status.out);
}

pub async fn a31_a_swapped_table_in_which_some_changed_is_the_same_table(scene: &Scene) {
    five(scene).await;
    let (ids, numbers) = (rows(&scene.source, "select id from customer order by id").await, contacts(scene).await.len());
    // Two of five, and even what they are matched by.
    swap(scene, "update contact_new set mail = concat(mail, 'y') where mail in ('b@x', 'd@x')").await;
    for _ in 0..2 {
        scene.sync().await;
    }
    let mails = rows(&scene.source, "select email from customer order by email").await;
    assert_eq!(mails, ["a@x", "b@xy", "c@x", "d@xy", "e@x"]);
    assert_eq!(rows(&scene.source, "select id from customer order by id").await, ids);
    let own = rows(&scene.target, "select own from contact order by mail").await;
    assert_eq!((own, numbers), (PEOPLE.map(str::to_owned).to_vec(), 5));
    scene.quiet().await;
}

/// Nobody is gone, but under the new key the map knows nobody: without a `match:` all of them would be made again.
pub async fn i6_a_table_that_gets_another_primary_key_asks(scene: &Scene) {
    five(scene).await;
    scene.link(&[("customers", &CUSTOMERS.replace("    match: [email]\n", "    safety: mirror\n"))]);
    scene.sync().await;
    let before = customers(scene).await;
    scene.target.user("drop table deal").await;
    scene.target.user("alter table contact add column nid bigint").await;
    scene.target.user("update contact set nid = contact_no + 100000").await;
    scene.sync().await;
    if scene.target.url().starts_with("postgres") {
        let numbered = "alter table contact alter column nid set not null, drop constraint contact_pkey, add primary key (nid); \
                        alter table contact alter column nid add generated by default as identity (start with 900000)";
        scene.target.script(numbered).await;
    } else {
        let numbered = "modify contact_no bigint, modify nid bigint auto_increment, drop primary key, add primary key (nid)";
        scene.target.user(&format!("alter table contact {numbered}")).await;
    }
    scene.source.user("update customer set name = 'later' where email = 'a@x'").await;
    for _ in 0..3 {
        scene.sync().await;
    }
    brake_holds(scene).await;
    assert_eq!(rows(&scene.target, "select count(*), count(own) from contact").await, ["5|5"], "nothing is made");
    assert_eq!(customers(scene).await.len(), before.len(), "and nothing deleted");
    // A match rule tells who is who.
    scene.link(&[("customers", &format!("{CUSTOMERS}    safety: mirror\n"))]);
    for _ in 0..3 {
        scene.sync().await;
    }
    let names = rows(&scene.target, "select mail, full_name, own from contact order by mail").await;
    assert_eq!(names, ["a@x|later|a", "b@x|b|b", "c@x|c|c", "d@x|d|d", "e@x|e|e"]);
    assert_eq!(customers(scene).await.len(), 5);
    scene.quiet().await;
}

pub async fn i6_a_swapped_table_in_which_most_changed_asks(scene: &Scene) {
    five(scene).await;
    swap(scene, "update contact_new set mail = upper(mail)").await;
    let before = (customers(scene).await, contacts(scene).await);
    for _ in 0..3 {
        scene.sync().await;
        assert_eq!((customers(scene).await, contacts(scene).await), before);
    }
    brake_holds(scene).await;
    // It was the same table after all: put right, it goes on as if nothing had been.
    scene.target.user("update contact set mail = lower(mail)").await;
    for _ in 0..2 {
        scene.sync().await;
    }
    scene.customer("f@x", "f").await;
    scene.source.user("update customer set name = 'Ada' where email = 'a@x'").await;
    scene.sync().await;
    let now = rows(&scene.target, "select mail, full_name, coalesce(own, 'new') from contact order by mail").await;
    assert_eq!(now, ["a@x|Ada|a", "b@x|b|b", "c@x|c|c", "d@x|d|d", "e@x|e|e", "f@x|f|new"]);
    scene.quiet().await;
}

/// Other people under the same numbers, and what the shop's users do before and after that is noticed.
async fn swap_for_others(scene: &Scene) {
    five(scene).await;
    scene.source.user("delete from customer where email = 'b@x'").await;
    swap(scene, "update contact_new set mail = concat('p', mail), own = 'other'").await;
    let others = contacts(scene).await;
    let later = ["delete from customer where email = 'c@x'", "update customer set name = 'Ada' where email = 'a@x'"];
    for edits in [&later[..0], &later] {
        for edit in edits {
            scene.source.user(edit).await;
        }
        scene.customer(&format!("f{}@x", edits.len()), "f").await;
        let plan = Counts(scene.ask(&["plan"]).await);
        assert_eq!(plan.writes(), 0, "{plan:?}");
        for _ in 0..2 {
            scene.sync().await;
            assert_eq!(contacts(scene).await, others, "nothing goes into a table that may be the wrong one");
        }
    }
    let status = scene.program.run(&["status"]).await.code(0);
    assert!(status.out.contains("another table stands in the target") && !status.out.contains("changes of"), "{}", status.out);
    let waits = scene.held().await;
    let new = waits.iter().filter(|one| one.starts_with("customers source") && one.contains("braked: another table stands"));
    assert_eq!(new.count(), 2, "{waits:?}");
}

pub async fn i6_nothing_is_written_into_a_table_in_doubt(scene: &Scene) {
    swap_for_others(scene).await;
    if scene.target.url().starts_with("my") || scene.target.url().starts_with("maria") {
        scene.target.user("rename table contact to contact_new, contact_old to contact").await;
    } else {
        scene.target.user("alter table contact rename to contact_new").await;
        scene.target.user("alter table contact_old rename to contact").await;
    }
    for _ in 0..3 {
        scene.sync().await;
    }
    let now = rows(&scene.target, "select mail, full_name, coalesce(own, 'new') from contact order by mail").await;
    assert_eq!(now, ["a@x|Ada|a", "d@x|d|d", "e@x|e|e", "f0@x|f|new", "f2@x|f|new"]);
    assert_eq!(rows(&scene.source, "select email from customer order by email").await, ["a@x", "d@x", "e@x", "f0@x", "f2@x"]);
    assert_eq!(scene.held().await, Vec::<String>::new());
    let status = scene.program.run(&["status"]).await.code(0);
    assert!(!status.out.contains("BRAKE"), "{}", status.out);
    scene.quiet().await;
}

pub async fn i6_what_waited_for_a_table_in_doubt_comes_with_its_approval(scene: &Scene) {
    swap_for_others(scene).await;
    // What was changed since the brake tripped makes it another set: the first approval is void.
    for _ in 0..2 {
        scene.program.run(&["approve", "customers"]).await.code(0);
        scene.sync().await;
    }
    scene.sync().await;
    // Mirror: who is not in the new table is gone, unless the shop has changed them.
    let now = rows(&scene.target, "select mail, full_name, coalesce(own, 'new') from contact order by mail").await;
    let others = ["pa@x|a|other", "pb@x|b|other", "pc@x|c|other", "pd@x|d|other", "pe@x|e|other"];
    assert_eq!(now, [&["a@x|Ada|new", "f0@x|f|new", "f2@x|f|new"], others.as_slice()].concat());
    let emails = rows(&scene.source, "select email from customer order by email").await;
    assert_eq!(emails, ["a@x", "f0@x", "f2@x", "pa@x", "pb@x", "pc@x", "pd@x", "pe@x"]);
    assert_eq!(scene.held().await, Vec::<String>::new());
    scene.quiet().await;
}

pub async fn c4_a_link_pointed_at_another_table_asks(scene: &Scene) {
    five(scene).await;
    like_contact(scene, "person").await;
    // Other people under the same numbers.
    let other = "insert into person (contact_no, mail, full_name) select contact_no, concat('p', mail), 'Person' from contact";
    scene.target.user(other).await;
    let persons = || rows(&scene.target, "select contact_no, mail, full_name from person order by contact_no");
    let before = (customers(scene).await, contacts(scene).await, persons().await);
    let link = CUSTOMERS.replace("target: contact", "target: person");
    scene.link(&[("customers", &format!("{link}    safety: mirror"))]);
    for _ in 0..2 {
        scene.sync().await;
        assert_eq!((customers(scene).await, contacts(scene).await, persons().await), before);
    }
    brake_holds(scene).await;
    // Pointed back, it goes on.
    scene.link(&[("customers", &format!("{CUSTOMERS}    safety: mirror"))]);
    for _ in 0..2 {
        scene.sync().await;
    }
    assert_eq!((customers(scene).await, contacts(scene).await, persons().await), before);
    scene.quiet().await;
}

fn config(scene: &Scene, endpoints: [(&str, String); 2], tables: &str) -> String {
    let [(one, first), (two, second)] = endpoints;
    assert!(scene.source.url() != scene.target.url());
    format!(
        "integration: both\nendpoints:\n  {one}: {{url: \"{first}\"}}\n  {two}: {{url: \"{second}\"}}\nsource: {one}\n\
         target: {two}\nstate: crm\nfirst_sync: auto\nlinks:\n  customers:\n{tables}"
    )
}

pub async fn rule17_an_endpoint_may_be_renamed_but_not_replaced(scene: &Scene) {
    five(scene).await;
    let other = sqlite::lab().await.unwrap();
    other.user("create table customer (id integer primary key, email text not null unique, name text, phone text)").await;
    for (id, name) in (1..).zip(["x", "y", "z"]) {
        other.user(&format!("insert into customer (id, email, name) values ({id}, '{name}@x', '{name}')")).await;
    }
    let before = (customers(scene).await, contacts(scene).await);
    let link = format!("{}    safety: mirror\n", CUSTOMERS.trim_start_matches('\n'));
    scene.program.configure(&config(scene, [("branch", other.url()), ("crm", scene.target.url())], &link));
    for _ in 0..2 {
        let done = scene.refused(&["run", "--once"], 1).await;
        assert!(done.err.contains("this is not the database the state was built with"), "{}", done.err);
    }
    assert_eq!((customers(scene).await, contacts(scene).await), before);
    scene.program.configure(&config(scene, [("branch", scene.source.url()), ("crm", scene.target.url())], &link));
    scene.customer("f@x", "f").await;
    scene.sync().await;
    assert_eq!(contacts(scene).await.len(), 6);
    scene.quiet().await;
    other.close().await;
}

pub async fn source_and_target_can_not_be_exchanged(scene: &Scene) {
    five(scene).await;
    let before = (customers(scene).await, contacts(scene).await);
    let exchanged = "    source: contact\n    target: customer\n    match: [mail]\n    safety: mirror\n    \
                     fields: {mail: email, full_name: name, telephone: phone}\n";
    scene.program.configure(&config(scene, [("crm", scene.target.url()), ("shop", scene.source.url())], exchanged));
    let done = scene.refused(&["run", "--once"], 2).await;
    assert!(done.err.contains("link customers: ") && done.err.contains("exchanged"), "{}", done.err);
    assert_eq!((customers(scene).await, contacts(scene).await), before);
    // Under another name it is a new link: who is there is recognised.
    let renamed = config(scene, [("crm", scene.target.url()), ("shop", scene.source.url())], exchanged);
    scene.program.configure(&renamed.replace("  customers:\n", "  contacts:\n"));
    scene.sync().await;
    assert_eq!((customers(scene).await, contacts(scene).await), before);
    scene.quiet().await;
}

/// Nothing says then who is whose twin, though the map of the old name does.
pub async fn i2_a_link_under_another_name_makes_nothing_twice(scene: &Scene) {
    five(scene).await;
    let before = (customers(scene).await, contacts(scene).await);
    let without = CUSTOMERS.replace("    match: [email]\n", "");
    scene.link(&[("people", &without)]);
    for _ in 0..2 {
        let done = scene.refused(&["run", "--once"], 2).await;
        assert!(done.err.contains("link people: ") && done.err.contains("call it `customers` again"), "{}", done.err);
        assert_eq!((customers(scene).await, contacts(scene).await), before);
    }
    // By a rule its records find each other.
    scene.link(&[("people", CUSTOMERS)]);
    scene.sync().await;
    assert_eq!((customers(scene).await, contacts(scene).await), before);
    scene.quiet().await;
}
