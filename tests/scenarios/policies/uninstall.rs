//! What is taken away, and what is begun again after that (S2-19, A69, I8).

use crate::program::{Program, until};
use crate::scene::{Scene, rows, scenarios};
use crate::support::Damage;

scenarios! { sqlite_sqlite:
    rule6_what_a_new_log_says_is_newer_than_the_map,
    rule6_a_new_log_of_a_table_with_two_links_reaches_both,
    c4_nothing_is_uninstalled_before_moved_keys_are_read,
    s2_19_what_was_uninstalled_goes_on_where_it_was,
    s2_19_what_others_removed_meanwhile_is_compared,
    i8_who_uninstalls_has_the_last_word,
    a69_nothing_is_left_whatever_was_removed_before,
}

scenarios! { postgres_mysql:
    rule6_what_a_new_log_says_is_newer_than_the_map,
    rule6_a_new_log_of_a_table_with_two_links_reaches_both,
    c4_nothing_is_uninstalled_before_moved_keys_are_read,
    s2_19_what_was_uninstalled_goes_on_where_it_was,
    s2_19_what_others_removed_meanwhile_is_compared,
    i8_who_uninstalls_has_the_last_word,
    a69_nothing_is_left_whatever_was_removed_before,
}

scenarios! { mariadb_postgres:
    rule6_what_a_new_log_says_is_newer_than_the_map,
    rule6_a_new_log_of_a_table_with_two_links_reaches_both,
    c4_nothing_is_uninstalled_before_moved_keys_are_read,
    s2_19_what_was_uninstalled_goes_on_where_it_was,
    s2_19_what_others_removed_meanwhile_is_compared,
    i8_who_uninstalls_has_the_last_word,
    a69_nothing_is_left_whatever_was_removed_before,
}

scenarios! { mysql_sqlite:
    s2_19_what_was_uninstalled_goes_on_where_it_was,
    s2_19_what_others_removed_meanwhile_is_compared,
}

async fn two(scene: &Scene) {
    scene.business("    safety: mirror", "    safety: mirror").await;
    scene.customer("a@x", "Ada").await;
    scene.customer("gone@x", "Gus").await;
    scene.contact("b@x", "Ben").await;
    scene.source.user("insert into orders (code, customer_id, cents) select 'o1', id, 5 from customer where name = 'Ada'").await;
    scene.sync().await;
}

async fn people(scene: &Scene) -> [Vec<String>; 2] {
    [
        rows(&scene.source, "select email, name, phone from customer order by email").await,
        rows(&scene.target, "select mail, full_name, telephone from contact order by mail").await,
    ]
}

/// Changes of both sides that no trigger sees.
async fn change(scene: &Scene, what: &str) {
    scene.source.user(&format!("update customer set phone = '{what}' where email = 'a@x'")).await;
    scene.target.user(&format!("update contact set telephone = '{what}' where mail = 'b@x'")).await;
    scene.customer(&format!("{what}@s"), what).await;
    scene.contact(&format!("{what}@t"), what).await;
}

async fn is_the_same(scene: &Scene, count: usize) {
    let [source, target] = people(scene).await;
    assert_eq!(source, target);
    assert_eq!(source.len(), count, "{source:?}");
    scene.quiet().await;
}

pub async fn s2_19_what_was_uninstalled_goes_on_where_it_was(scene: &Scene) {
    two(scene).await;
    for (i, command) in [&["uninstall"][..], &["uninstall", "--link", "customers"], &["uninstall"]].into_iter().enumerate() {
        scene.source.user(&format!("update customer set name = 'Ada {i}' where email = 'a@x'")).await;
        scene.program.run(command).await.code(0);
        change(scene, &format!("m{i}")).await;
        scene.sync().await;
        is_the_same(scene, 3 + 2 * (i + 1)).await;
        // It reads its logs again.
        change(scene, &format!("n{i}")).await;
        scene.source.user(&format!("delete from customer where email in ('m{i}@s', 'n{i}@s')")).await;
        scene.sync().await;
        is_the_same(scene, 3 + 2 * (i + 1)).await;
        scene.target.user(&format!("delete from contact where mail = 'n{i}@t'")).await;
        scene.contact(&format!("again{i}@t"), "again").await;
        scene.sync().await;
        is_the_same(scene, 3 + 2 * (i + 1)).await;
    }
    // Uninstalled twice, or never run since, is no harm either.
    scene.program.run(&["uninstall"]).await.code(0);
    scene.program.run(&["uninstall"]).await.code(0);
    scene.sync().await;
    is_the_same(scene, 9).await;
    // Without its map it begins anew, by the match rule.
    scene.program.run(&["uninstall", "--all", "--yes"]).await.code(0);
    change(scene, "anew").await;
    scene.sync().await;
    is_the_same(scene, 11).await;
    assert_eq!(rows(&scene.target, "select ref from deal").await, ["o1"]);
}

/// How a log comes to count from lower numbers than the map has noted: it is made anew, by us or by hand, or its database moves to
/// another server.
async fn count_from_lower_numbers(scene: &Scene, round: u32) {
    match round {
        0 => drop(scene.program.run(&["uninstall"]).await.code(0)),
        1 => {
            scene.source.damage("customer", Damage::LogRecreated).await;
            scene.target.damage("contact", Damage::LogRecreated).await;
        }
        _ => {
            let own = scene.target.dialect().own;
            let far = 1_u64 << 60;
            scene.target.user(&format!("update {own}pair set s_pos = s_pos + {far}, t_pos = t_pos + {far}")).await;
            scene.program.run(&["uninstall"]).await.code(0);
        }
    }
    scene.sync().await;
}

pub async fn rule6_what_a_new_log_says_is_newer_than_the_map(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    for round in 0..3 {
        for name in ["a", "b"] {
            scene.customer(&format!("{name}{round}@s"), name).await;
            scene.contact(&format!("{name}{round}@t"), name).await;
        }
        scene.sync().await;
        for phone in 0..6 {
            scene.source.user(&format!("update customer set phone = '{phone}' where email like '%@s'")).await;
            scene.target.user(&format!("update contact set telephone = '{phone}' where mail like '%@t'")).await;
            scene.sync().await;
        }
        count_from_lower_numbers(scene, round).await;
        scene.target.user(&format!("delete from contact where mail = 'a{round}@s'")).await;
        scene.target.user(&format!("update contact set telephone = 'new' where mail = 'b{round}@s'")).await;
        scene.source.user(&format!("delete from customer where email = 'a{round}@t'")).await;
        scene.source.user(&format!("update customer set phone = 'new' where email = 'b{round}@t'")).await;
        scene.sync().await;
        let phone = |past: u32| if past == round { "new" } else { "5" };
        let expected: Vec<String> =
            (0..=round).flat_map(|past| ["s", "t"].map(|side| format!("b{past}@{side}|b|{}", phone(past)))).collect();
        assert_eq!(people(scene).await, [expected.clone(), expected], "round {round}");
        is_the_same(scene, 2 * (round as usize + 1)).await;
    }
}

/// What one link writes is news to the other.
pub async fn rule6_a_new_log_of_a_table_with_two_links_reaches_both(scene: &Scene) {
    scene.customers("").await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table person (nr {key}, mail {text} not null, called {text})")).await;
    let person = "    source: customer\n    target: person\n    match: [email]\n    safety: mirror\n    fields: {email: mail, name: called}";
    scene.link(&[("customers", &format!("{}    safety: mirror", crate::scene::CUSTOMERS)), ("people", person)]);
    for round in 0..3 {
        for name in ["a", "b"] {
            scene.customer(&format!("{name}{round}@x"), name).await;
        }
        scene.sync().await;
        for name in 0..6 {
            scene.target.user(&format!("update contact set full_name = 'n{name}'")).await;
            scene.sync().await;
        }
        count_from_lower_numbers(scene, round).await;
        scene.target.user(&format!("update person set called = 'new' where mail = 'b{round}@x'")).await;
        scene.target.user(&format!("delete from person where mail = 'a{round}@x'")).await;
        for _ in 0..2 {
            scene.sync().await;
        }
        let expected: Vec<String> =
            (0..=round).map(|past| format!("b{past}@x|{}", if past == round { "new" } else { "n5" })).collect();
        assert_eq!(rows(&scene.source, "select email, name from customer order by email").await, expected);
        assert_eq!(rows(&scene.target, "select mail, full_name from contact order by mail").await, expected);
        assert_eq!(rows(&scene.target, "select mail, called from person order by mail").await, expected);
    }
    scene.quiet().await;
}

/// Without a match, nothing but the log knows that records have exchanged their keys.
pub async fn c4_nothing_is_uninstalled_before_moved_keys_are_read(scene: &Scene) {
    scene.customers("").await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table person (nr {key}, mail {text}, called {text}, note {text})")).await;
    scene.link(&[(
        "people",
        "    source: customer\n    target: person\n    safety: mirror\n    fields: {email: mail, name: called}",
    )]);
    for name in ["Ada", "Ben", "Cai", "Dan"] {
        scene.customer(&format!("{name}@x"), name).await;
    }
    scene.sync().await;
    scene.target.user("update person set note = called").await;
    scene.sync().await;
    let ids = rows(&scene.source, "select id from customer where name in ('Ada', 'Ben', 'Cai') order by name").await;
    let [ada, ben, cai] = [&ids[0], &ids[1], &ids[2]];
    scene.source.user("delete from customer where name = 'Cai'").await;
    for (name, id) in [("Ada", "7000"), ("Ben", ada), ("Ada", ben)] {
        scene.source.user(&format!("update customer set id = {id} where name = '{name}'")).await;
    }
    scene.source.user(&format!("insert into customer (id, email, name) values ({cai}, 'Zoe@x', 'Zoe')")).await;
    for command in [&["uninstall"][..], &["uninstall", "--link", "people"]] {
        let refused = scene.refused(command, 3).await.err;
        assert!(refused.contains("link people: the change log of its source") && refused.contains("--discard"), "{refused}");
        assert!(refused.contains("run --once"), "{refused}");
    }
    // Nothing was removed.
    for _ in 0..4 {
        scene.sync().await;
    }
    let people = || rows(&scene.target, "select called, coalesce(note, 'new') from person order by called");
    assert_eq!(people().await, ["Ada|Ada", "Ben|Ben", "Dan|Dan", "Zoe|new"]);
    // What was read, and what a compare finds, keeps nobody from it.
    scene.customer("Eve@x", "Eve").await;
    scene.source.user("update customer set name = 'Daniel' where name = 'Dan'").await;
    scene.program.run(&["uninstall"]).await.code(0);
    scene.sync().await;
    scene.source.user("delete from customer where name = 'Eve'").await;
    scene.refused(&["uninstall"], 3).await;
    scene.program.run(&["uninstall", "--discard"]).await.code(0);
    scene.sync().await;
    assert_eq!(people().await, ["Ada|Ada", "Ben|Ben", "Daniel|Dan", "Zoe|new"]);
    scene.quiet().await;
}

/// Another integration goes on reading the table, so its log stays, and forgets what only the other one has yet to read.
pub async fn s2_19_what_others_removed_meanwhile_is_compared(scene: &Scene) {
    two(scene).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table address (nr {key}, post {text} not null unique)")).await;
    let other = Program::new(&format!(
        "integration: other\nendpoints:\n  shop: {{url: \"{}\"}}\n  post: {{url: \"{}\"}}\nsource: shop\ntarget: post\nfirst_sync: auto\n\
         links:\n  all:\n    source: customer\n    target: address\n    match: [email]\n    fields: {{email: post}}\n",
        scene.source.url(),
        scene.target.url()
    ));
    let others_run = || async { other.run(&["run", "--once"]).await.code(0) };
    others_run().await;
    for i in 0..2 {
        scene.program.run(&["uninstall"]).await.code(0);
        change(scene, &format!("m{i}")).await;
        others_run().await;
        others_run().await;
        scene.sync().await;
        is_the_same(scene, 3 + i + 2).await;
        change(scene, &format!("n{i}")).await;
        scene.source.user(&format!("delete from customer where email in ('n{i}@s', 'm{i}@s')")).await;
        scene.target.user(&format!("delete from contact where mail = 'n{i}@t'")).await;
        others_run().await;
        scene.sync().await;
        is_the_same(scene, 3 + i + 1).await;
        scene.contact(&format!("again{i}@t"), "again").await;
        scene.sync().await;
        scene.target.user(&format!("delete from contact where mail = 'm{i}@t'")).await;
        scene.sync().await;
        scene.contact(&format!("m{i}@t"), "again").await;
        scene.target.user(&format!("delete from contact where mail = 'again{i}@t'")).await;
        scene.sync().await;
        is_the_same(scene, 3 + i + 1).await;
    }
}

pub async fn i8_who_uninstalls_has_the_last_word(scene: &Scene) {
    two(scene).await;
    for command in [&["uninstall", "--take-over"][..], &["uninstall", "--all", "--yes", "--take-over"]] {
        let mut child = scene.program.start(&["run"], None);
        scene.customer("new@x", "Nina").await;
        until("it runs", || async { !rows(&scene.target, "select mail from contact where mail = 'new@x'").await.is_empty() })
            .await;
        scene.program.run(command).await.code(0);
        let status = tokio::time::timeout(crate::program::PATIENCE, child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(4), "{command:?}\n{}", scene.program.log());
        for lab in [&scene.source, &scene.target] {
            let triggers: Vec<String> = lab.catalog().await.into_iter().filter(|one| one.starts_with("trigger")).collect();
            assert!(triggers.iter().all(|one| !one.contains("twinrow")), "it installed them again: {triggers:?}");
        }
        scene.source.user("delete from customer where email = 'new@x'").await;
        scene.target.user("delete from contact where mail = 'new@x'").await;
    }
}

/// Whatever of ours is missing already, nothing of it is in the catalog after that, and the application can write.
pub async fn a69_nothing_is_left_whatever_was_removed_before(scene: &Scene) {
    scene.business("    safety: mirror", "    safety: mirror").await;
    let before = [scene.source.catalog().await, scene.target.catalog().await];
    let own = scene.source.dialect().own;
    for round in 0.. {
        scene.program.run(&["install"]).await.code(0);
        scene.sync().await;
        let tables = ["version", "fence", "receipt", "collection", "consumer", "edge"];
        match round {
            0 => {}
            1 => scene.source.damage("customer", Damage::TriggerDropped).await,
            2 => scene.source.damage("customer", Damage::LogDropped).await,
            3 => scene.target.damage("contact", Damage::LogRecreated).await,
            _ => match tables.get(round - 4) {
                // In this state triggers may be alive.
                Some(table) => scene.source.user(&format!("drop table {own}{table}")).await,
                None => break,
            },
        }
        let args = ["uninstall", "--all", "--yes"];
        scene.program.run(&args).await.code(0);
        assert_eq!([scene.source.catalog().await, scene.target.catalog().await], before, "round {round}");
        scene.customer(&format!("{round}@x"), "Ada").await;
        scene.source.user("delete from customer").await;
        scene.target.user("delete from contact").await;
        assert!(scene.program.run(&["uninstall"]).await.code(0).out.contains("nothing was installed"), "round {round}");
    }
}
