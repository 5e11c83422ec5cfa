//! Describing what is there; installing, checking and removing what is ours.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use twinrow::endpoint::one_place;
use twinrow::error::Kind as ErrorKind;
use twinrow::model::{Both, KeySource, Kind};

use super::bench::{Bench, INTEGRATION, describe, fence, item, tracking};
use crate::support::{Damage, Lab};

pub async fn describe_finds_keys_kinds_and_foreign_keys(lab: &dyn Lab) {
    let text = lab.dialect().text;
    lab.user(&item(lab, "item")).await;
    lab.user(&format!(
        "create table part (a {text} not null, b bigint not null, item_id bigint, price decimal(10,2), born date, at timestamp null, \
         primary key (a, b), foreign key (item_id) references item (id) on delete cascade)"
    ))
    .await;
    let endpoint = lab.endpoint().await;
    let tables = describe(lab, &*endpoint, &["item", "part"]).await;

    let item = &tables[0];
    assert_eq!(item.key_columns().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["id"]);
    assert_eq!(item.key_source, KeySource::Generated);
    assert_eq!(item.uniques, [vec![1]]);
    assert!(matches!(item.columns[0].kind, Kind::Int { max, .. } if max >= i128::from(i64::MAX)));
    assert!(matches!(item.columns[2].kind, Kind::Text { .. }));
    assert!(item.columns[2].nullable && !item.columns[3].nullable && item.columns[3].has_default);
    assert_eq!(item.refused, None);

    let part = &tables[1];
    assert_eq!(part.key, [0, 1]);
    assert_eq!(part.key_source, KeySource::Given);
    assert_eq!(part.columns[3].kind, Kind::Decimal { limit: Some((10, 2)) });
    assert_eq!(part.columns[4].kind, Kind::Date);
    assert!(matches!(part.columns[5].kind, Kind::DateTime { .. } | Kind::Instant { .. }));
    let foreign = &part.foreign_keys[0];
    assert_eq!(
        (foreign.columns.as_slice(), foreign.referenced.as_slice()),
        (&["item_id".to_owned()][..], &["id".to_owned()][..])
    );
    assert_eq!(foreign.references, lab.table("item"));
    assert!(foreign.cascades);
}

pub async fn describe_names_what_is_missing(lab: &dyn Lab) {
    lab.user(&item(lab, "customers")).await;
    let error = lab.endpoint().await.describe(Some(&[lab.table("custmers")])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
    let shown = format!("{error} {}", error.next_step().unwrap_or_default());
    assert!(shown.contains("custmers") && shown.contains("customers"), "{shown}");
}

pub async fn describe_hides_what_is_ours(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("create view seen as select id, name from item").await;
    lab.user(&format!("create table loose (a {}, b integer)", lab.dialect().text)).await;
    let tables = bench.endpoint.describe(None).await.unwrap();
    assert!(tables.iter().all(|table| !table.name.to_string().contains("twinrow")), "{tables:?}");
    assert!(tables.iter().any(|table| table.name == lab.table("item") && table.refused.is_none()));
    // A73: nothing tells its rows apart.
    assert!(tables.iter().any(|table| table.name == lab.table("loose") && table.refused.is_some()));
    assert!(tables.iter().all(|table| table.name != lab.table("seen") || table.refused.is_some()), "a view has no triggers");
}

pub async fn a57_hostile_identifiers(lab: &dyn Lab) {
    let dialect = lab.dialect();
    let long = format!("{}ü", "long name ".repeat(6).trim_end());
    let names = ["we\"ird `na'me;--", "select", "Straße", &long[..long.len().min(62)], "a b", "a_b"];
    for name in &names {
        let (table, key, column) = (dialect.quoted(name), dialect.quoted("or\"d{old}er"), dialect.quoted("va\"l{table}`u'e"));
        lab.user(&format!("create table {table} ({key} {}, {column} {})", dialect.generated_key, dialect.text)).await;
    }
    let mut bench = Bench::new(lab, &names).await;
    for name in &names {
        lab.user(&format!("insert into {} ({}) values ('x')", dialect.quoted(name), dialect.quoted("va\"l{table}`u'e"))).await;
    }
    let entries = bench.read().await;
    let mut seen: Vec<usize> = entries.iter().map(|entry| entry.collection).collect();
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    let mut window = bench.window().await;
    for (i, entry) in entries.iter().enumerate() {
        let fetched = window.fetch(entry.collection, std::slice::from_ref(&entry.key)).await.unwrap();
        assert_eq!(super::bench::row(&fetched[0])[1], super::bench::t("x"), "{}", names[i]);
    }
    drop(window);
    assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
    bench.tracking().uninstall(None, &[]).await.unwrap();
    assert!(lab.catalog().await.iter().all(|object| !object.contains("twinrow")));
}

pub async fn a_script_run_by_hand_equals_install(lab: &dyn Lab) {
    lab.user(&item(lab, "item")).await;
    let endpoint = lab.endpoint().await;
    let tables = describe(lab, &*endpoint, &["item"]).await;
    let script = tracking(&*endpoint).script(&tables, true).await.unwrap();
    tracking(&*endpoint).install(&tables, true).await.unwrap();
    let installed = lab.catalog().await;
    tracking(&*endpoint).uninstall(None, &[]).await.unwrap();

    lab.script(&script).await;
    assert_eq!(lab.catalog().await, installed);
    assert_eq!(tracking(&*endpoint).inspect(&tables).await.unwrap(), []);
    assert_eq!(tracking(&*endpoint).script(&tables, true).await.unwrap(), "", "all is in place");
    assert_eq!(tracking(&*endpoint).install(&tables, true).await.unwrap(), Vec::<String>::new());
    let mut bench = Bench::new(lab, &["item"]).await;
    lab.user("insert into item (name) values ('Ann')").await;
    assert_eq!(bench.read().await.len(), 1);
}

pub async fn install_twice_is_a_no_op(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let before = lab.catalog().await;
    lab.user("insert into item (name) values ('Ann')").await;
    let did = bench.tracking().install(&bench.tables(), true).await.unwrap();
    assert_eq!(did, Vec::<String>::new());
    assert_eq!(lab.catalog().await, before);
    let again = bench.tracking().register(INTEGRATION, &bench.tables()).await.unwrap();
    assert_eq!(again[0], bench.tracked[0].since.clone().unwrap(), "the registered position is not moved");
    assert_eq!(bench.read().await.len(), 1, "what was logged is still there");
}

/// Two processes that are started together: each gets its turn, and the second finds everything in place.
pub async fn i9_two_installs_at_once_both_end_well(lab: &dyn Lab) {
    for table in ["item", "other"] {
        lab.user(&item(lab, table)).await;
    }
    let endpoint = lab.endpoint().await;
    let tables = describe(lab, &*endpoint, &["item", "other"]).await;
    tracking(&*endpoint).install(&tables, true).await.unwrap();
    let alone = lab.definitions().await;
    for _ in 0..4 {
        tracking(&*endpoint).uninstall(None, &[]).await.unwrap();
        let two = [lab.endpoint().await, lab.endpoint().await];
        let starts = two.map(|endpoint| {
            let tables = tables.clone();
            tokio::spawn(async move {
                tracking(&*endpoint).upgrade(true).await?;
                tracking(&*endpoint).install(&tables, true).await
            })
        });
        for start in starts {
            start.await.unwrap().unwrap();
        }
        assert_eq!(tracking(&*endpoint).script(&tables, true).await.unwrap(), "", "all is in place");
        assert_eq!(lab.definitions().await, alone);
    }
    let mut bench = Bench::new(lab, &["item", "other"]).await;
    lab.user("insert into other (name) values ('Ann')").await;
    assert_eq!(bench.read().await.len(), 1);
}

/// Two endpoints of one database are one place, and only as long as the sign is shown; nothing is written.
pub async fn rule21_one_place_is_known_by_its_sign(lab: &dyn Lab) {
    lab.user(&item(lab, "item")).await;
    let before = lab.catalog().await;
    let (a, b) = (lab.endpoint().await, lab.endpoint().await);
    let there = a.whereabouts().await.unwrap().unwrap();
    assert!(b.leads_to(&there.sign).await.unwrap());
    assert!(b.leads_to(&there.sign).await.unwrap(), "it is not used up");
    assert!(!b.leads_to(&format!("{}0", there.sign)).await.unwrap(), "another sign");
    let sign = there.sign.clone();
    drop(there);
    if !sign.starts_with("file ") {
        let start = std::time::Instant::now();
        while b.leads_to(&sign).await.unwrap() {
            assert!(start.elapsed() < Duration::from_secs(20), "it is shown for ever");
        }
    }
    let one = one_place(Both { source: &*a, target: &*b }, Both { source: "a", target: "b" }).await.unwrap().unwrap();
    assert_eq!(one.0.source, one.0.target);
    assert_eq!(lab.catalog().await, before);
}

/// From each earlier version's objects to today's, while the application goes on writing.
pub async fn a32_an_upgrade_under_load_loses_no_change(lab: &dyn Lab) {
    lab.user(&item(lab, "item")).await;
    let endpoint = lab.endpoint().await;
    let tables = describe(lab, &*endpoint, &["item"]).await;
    tracking(&*endpoint).install(&tables, true).await.unwrap();
    let (fresh, frozen) = (lab.definitions().await, lab.frozen().await);
    for (age, script) in frozen.iter().enumerate() {
        tracking(&*endpoint).uninstall(None, &[]).await.unwrap();
        assert_eq!(tracking(&*endpoint).upgrade(true).await.unwrap(), Vec::<String>::new(), "nothing is there to be upgraded");
        lab.script(script).await;
        let bench = Bench::installed(lab, lab.endpoint().await, tables.clone()).await;
        upgraded_under_load(bench, &fresh, age == 0).await;
        lab.user("delete from item").await;
    }
}

/// `fresh`: what is there in the end, as if it had been installed today.
async fn upgraded_under_load(mut bench: Bench<'_>, fresh: &BTreeSet<String>, oldest: bool) {
    let lab = bench.lab;
    lab.user("insert into item (id, name) values (1, 'before'), (2, 'before')").await;
    let stop = AtomicBool::new(false);
    let writing = async {
        let mut last = 2;
        while !stop.load(Ordering::Relaxed) {
            last += 1;
            lab.user(&format!("insert into item (id, name) values ({last}, 'during')")).await;
            lab.user(&format!("update item set name = 'again' where id = {last}")).await;
            if last % 2 == 0 {
                lab.user(&format!("delete from item where id = {last}")).await;
            }
        }
        last
    };
    let upgrading = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let upgraded = bench.tracking().upgrade(true).await.unwrap();
        assert!(!oldest || !upgraded.is_empty(), "our own tables");
        let findings = bench.tracking().inspect(&bench.tables()).await.unwrap();
        assert!(!findings.is_empty(), "they are of an older version");
        let installed = bench.tracking().install(&bench.tables(), true).await.unwrap();
        assert!(!installed.is_empty(), "triggers");
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (last, ()) = tokio::join!(writing, upgrading);
    lab.user("update item set name = 'after' where id = 1").await;

    let upgraded = lab.definitions().await;
    let differ: Vec<_> = fresh.symmetric_difference(&upgraded).collect();
    assert!(differ.is_empty(), "upgraded and fresh are not the same: {differ:#?}");
    assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
    assert_eq!(bench.tracking().upgrade(true).await.unwrap(), Vec::<String>::new());
    assert_eq!(bench.tracking().install(&bench.tables(), true).await.unwrap(), Vec::<String>::new());
    let ops: BTreeSet<String> = bench.ops().await.into_iter().collect();
    let mut wanted: BTreeSet<String> = ["insert 1", "insert 2", "update 1"].map(str::to_owned).into();
    for id in 3..=last {
        wanted.extend([format!("insert {id}"), format!("update {id}")]);
        wanted.extend((id % 2 == 0).then(|| format!("delete {id}")));
    }
    assert!(last > 4, "the application came to write");
    assert_eq!(ops, wanted, "every change, and nothing else");
}

pub async fn f15_what_a_newer_program_installed_is_left_alone(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    let own = lab.dialect().own;
    let refused = async |what: &str| {
        let before = lab.definitions().await;
        let [upgrade, install, script] = [
            bench.tracking().upgrade(true).await.map(|_| ()),
            bench.tracking().install(&bench.tables(), true).await.map(|_| ()),
            bench.tracking().script(&bench.tables(), true).await.map(|_| ()),
        ]
        .map(|result| result.unwrap_err());
        for error in [upgrade, install, script] {
            assert_eq!(error.kind(), ErrorKind::Tracking, "{what}: {error}");
            assert_eq!(error.next_step(), Some("update twinrow"), "{what}");
            assert!(error.to_string().contains("newer"), "{what}: {error}");
        }
        assert_eq!(lab.definitions().await, before);
    };
    for part in ["endpoint", "state"] {
        let set = |version: &str| format!("update {own}version set version = version {version} where part = '{part}'");
        lab.user(&set("+ 1")).await;
        refused(part).await;
        lab.user(&set("- 1")).await;
    }
    bench.tracking().inspect(&bench.tables()).await.unwrap();
    // While it runs: a newer program has made the triggers again.
    lab.damage("item", Damage::TriggerAltered).await;
    lab.user(&format!("update {own}collection set version = version + 1")).await;
    let error = bench.tracking().inspect(&bench.tables()).await.unwrap_err();
    assert_eq!((error.kind(), error.next_step()), (ErrorKind::Tracking, Some("update twinrow")), "{error}");
    let error = bench.tracking().install(&bench.tables(), true).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tracking, "{error}");
    assert!(!bench.tracking().uninstall(None, &[]).await.unwrap().is_empty(), "it can still be removed");
}

pub async fn uninstall_leaves_nothing(lab: &dyn Lab) {
    lab.user(&item(lab, "item")).await;
    let before = lab.catalog().await;
    let bench = Bench::new(lab, &["item"]).await;
    lab.user("insert into item (name) values ('Ann')").await;
    assert_ne!(lab.catalog().await, before);
    let removed = bench.tracking().uninstall(None, &[]).await.unwrap();
    assert!(!removed.is_empty());
    assert_eq!(lab.catalog().await, before);
    lab.user("insert into item (name) values ('Bob')").await;
    assert_eq!(bench.tracking().uninstall(None, &[]).await.unwrap(), Vec::<String>::new());
}

/// Whoever comes second meets the whole work of the first.
pub async fn a69_an_uninstall_and_an_installation_take_turns(lab: &dyn Lab) {
    lab.user(&item(lab, "item")).await;
    let before = lab.catalog().await;
    let (one, other) = (lab.endpoint().await, lab.endpoint().await);
    let tables = describe(lab, &*one, &["item"]).await;
    for round in 0..6 {
        let uninstall = async {
            if round % 2 == 1 {
                until_some_is_there(lab, &before).await;
            }
            tracking(&*other).uninstall(None, &[]).await
        };
        let (installed, removed) = tokio::join!(tracking(&*one).install(&tables, true), uninstall);
        installed.unwrap();
        removed.unwrap();
        if lab.catalog().await != before {
            assert_eq!(tracking(&*one).inspect(&tables).await.unwrap(), []);
            assert_eq!(tracking(&*one).install(&tables, true).await.unwrap(), Vec::<String>::new(), "all of it is there");
            tracking(&*other).uninstall(None, &[]).await.unwrap();
        }
        assert_eq!(lab.catalog().await, before, "nothing is left");
    }
}

async fn until_some_is_there(lab: &dyn Lab, before: &BTreeSet<String>) {
    let since = std::time::Instant::now();
    while lab.catalog().await == *before {
        assert!(since.elapsed() < Duration::from_secs(20), "the installation does not begin");
        tokio::task::yield_now().await;
    }
}

pub async fn a69_half_removed_tracking_can_be_removed(lab: &dyn Lab) {
    lab.user(&item(lab, "item")).await;
    let before = lab.catalog().await;
    let bench = Bench::new(lab, &["item"]).await;
    lab.damage("item", Damage::TriggerDropped).await;
    lab.damage("item", Damage::LogDropped).await;
    bench.tracking().uninstall(None, &[]).await.unwrap();
    assert_eq!(lab.catalog().await, before);
    lab.user("insert into item (name) values ('Bob')").await;
    lab.user("delete from item").await;
}

pub async fn uninstall_keeps_what_another_integration_uses(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    fence(&*bench.endpoint, "other").await;
    bench.tracking().register("other", &bench.tables()).await.unwrap();
    bench.tracking().uninstall(Some("other"), &[lab.table("item")]).await.unwrap();
    assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
    lab.user("insert into item (name) values ('Ann')").await;
    assert_eq!(bench.read().await.len(), 1);

    bench.tracking().uninstall(Some(INTEGRATION), &[lab.table("item")]).await.unwrap();
    assert_ne!(bench.tracking().inspect(&bench.tables()).await.unwrap(), [], "the last consumer's tracking is gone");
    lab.user("insert into item (name) values ('Bob')").await;
}

pub async fn inspect_finds_nothing_wrong(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (name) values ('Ann')").await;
    assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
    // Not even from another process, or after a column came that has nothing to do with keys.
    lab.user("alter table item add column note integer").await;
    let other = lab.endpoint().await;
    let tables = describe(lab, &*other, &["item"]).await;
    assert_eq!(tracking(&*other).inspect(&tables).await.unwrap(), []);
}

pub async fn a17_a_dropped_trigger_is_found_and_repaired(lab: &dyn Lab) {
    damaged_tracking_is_found_and_repaired(lab, Damage::TriggerDropped).await;
}

pub async fn a17_an_altered_trigger_is_found_and_repaired(lab: &dyn Lab) {
    damaged_tracking_is_found_and_repaired(lab, Damage::TriggerAltered).await;
}

async fn damaged_tracking_is_found_and_repaired(lab: &dyn Lab, damage: Damage) {
    let mut bench = Bench::item(lab).await;
    assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
    lab.damage("item", damage).await;
    let findings = bench.tracking().inspect(&bench.tables()).await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].table, lab.table("item"));
    assert!(findings[0].gap, "changes may have been missed");
    assert!(!bench.tracking().install(&bench.tables(), true).await.unwrap().is_empty());
    assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
    lab.user("insert into item (id, name) values (7, 'Ann')").await;
    lab.user("update item set name = 'Bea' where id = 7").await;
    lab.user("delete from item where id = 7").await;
    // First the mark that says: compare, whoever repaired it.
    assert_eq!(bench.ops().await, ["truncate", "insert 7", "update 7", "delete 7"]);
}

pub async fn a68_a_replaced_table_is_found(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (name) values ('Ann')").await;
    lab.user("drop table item").await;
    let gone = bench.tracking().inspect(&bench.tables()).await.unwrap();
    assert!(gone.iter().any(|finding| finding.gap), "{gone:?}");
    lab.user(&item(lab, "item")).await;
    let findings = bench.tracking().inspect(&bench.tables()).await.unwrap();
    assert!(findings.iter().any(|finding| finding.gap), "{findings:?}");
}
