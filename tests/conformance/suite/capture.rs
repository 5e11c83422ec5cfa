//! The change log says exactly what was committed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use twinrow::endpoint::{Acknowledge, ReadReceipt};
use twinrow::error::Kind;
use twinrow::model::{Entry, Key, Op};

use super::bench::{Bench, int, item, op, t};
use crate::support::{Damage, Lab};

pub async fn capture_is_exact(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, code, name) values (1, 'a', 'Ann'), (2, 'b', 'Bob')").await;
    assert_eq!(bench.ops().await, ["insert 1", "insert 2"]);
    lab.user("update item set name = 'Bea' where id = 2").await;
    lab.user("delete from item where id = 1").await;
    assert_eq!(bench.ops().await, ["update 2", "delete 1"]);
    lab.user("update item set name = 'X' where id = 99").await;
    assert_eq!(bench.ops().await, Vec::<String>::new());
    let mut open = lab.open().await;
    open.run("insert into item (id, name) values (3, 'Cid')").await;
    open.run("update item set name = 'Dan' where id = 3").await;
    open.run("delete from item where id = 3").await;
    open.commit().await;
    assert_eq!(bench.ops().await, ["insert 3", "update 3", "delete 3"]);
}

pub async fn capture_of_composite_and_text_keys(lab: &dyn Lab) {
    let text = lab.dialect().text;
    lab.user(&format!("create table part (a {text} not null, b bigint not null, c {text}, primary key (a, b))")).await;
    let mut bench = Bench::new(lab, &["part"]).await;
    // A61: delimiters in keys; C19: beyond the precision of a double.
    lab.user("insert into part values ('1', 9007199254740993, 'x'), ('1,9007199254740993', 1, 'y'), ('it''s', -1, null)").await;
    let keys: Vec<Key> = bench.read().await.into_iter().map(|entry| entry.key).collect();
    let expected = [
        Key(vec![t("1"), int(9_007_199_254_740_993)]),
        Key(vec![t("1,9007199254740993"), int(1)]),
        Key(vec![t("it's"), int(-1)]),
    ];
    assert_eq!(keys, expected);
    lab.user("update part set b = 5 where a = 'it''s'").await;
    let entries = bench.read().await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].key, expected[2]);
    assert_eq!(entries[0].op, Op::Rename { to: Key(vec![t("it's"), int(5)]) });
}

pub async fn a26_renames_keep_old_and_new_key(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'Ann'), (2, 'Bob')").await;
    bench.read().await;
    lab.user("update item set id = 100 where id = 1").await;
    assert_eq!(bench.ops().await, ["rename 1 to 100"]);
    let mut open = lab.open().await;
    open.run("update item set id = -1 where id = 2").await;
    open.run("update item set id = 2 where id = 100").await;
    open.run("update item set id = 100 where id = -1").await;
    open.commit().await;
    assert_eq!(bench.ops().await, ["rename 2 to -1", "rename 100 to 2", "rename -1 to 100"]);
}

/// One statement that changes several keys: where they are all new, and where each goes to the one another has left.
pub async fn a26_each_of_several_keys_is_renamed(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (11, 'a'), (12, 'b'), (13, 'c')").await;
    bench.read().await;
    lab.user("update item set id = id + 100").await;
    assert_eq!(bench.ops().await, ["rename 11 to 111", "rename 12 to 112", "rename 13 to 113"]);
    lab.user("update item set id = id - 1").await;
    assert_eq!(bench.ops().await, ["rename 111 to 110", "rename 112 to 111", "rename 113 to 112"]);
    // Among rows that only change.
    lab.user("update item set name = 'x', id = case id when 111 then 111 else id + 7 end").await;
    let mut ops = bench.ops().await;
    ops.sort_unstable();
    assert_eq!(ops, ["rename 110 to 117", "rename 112 to 119", "update 111"]);
}

pub async fn a23_upsert_is_captured(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let upsert = format!("insert into item (id, name) values (1, 'Ann') {}", lab.dialect().upsert);
    lab.user(&upsert).await;
    assert_eq!(bench.ops().await, ["insert 1"]);
    lab.user(&upsert.replace("Ann", "Bea")).await;
    let ops = bench.ops().await;
    assert!(ops.contains(&"update 1".to_owned()) && ops.iter().all(|op| op == "update 1"), "{ops:?}");
}

pub async fn a14_replace_is_captured(lab: &dyn Lab) {
    let replace = lab.dialect().replace.unwrap();
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, code, name) values (1, 'a', 'Ann'), (2, 'b', 'Bob'), (3, 'c', 'Cid')").await;
    bench.read().await;
    // Takes the place of 1 by its key and of 2 by its code.
    lab.user(&format!("{replace} item (id, code, name) values (1, 'b', 'Bea')")).await;
    let ops = bench.ops().await;
    assert!(ops.contains(&"delete 2".to_owned()), "{ops:?}");
    let one: Vec<_> = ops.iter().filter(|op| op.ends_with(" 1")).collect();
    assert!(matches!(one.last().map(|op| op.as_str()), Some("replace 1" | "put back 1" | "insert 1" | "update 1")), "{ops:?}");
    assert!(ops.iter().all(|op| !op.ends_with(" 3")), "{ops:?}");
}

pub async fn rollback_leaves_nothing(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let mut open = lab.open().await;
    open.run("insert into item (id, name) values (1, 'Ann')").await;
    open.rollback().await;
    assert_eq!(bench.ops().await, Vec::<String>::new());
    let mut open = lab.open().await;
    open.run("insert into item (id, name) values (2, 'Bob')").await;
    open.run("savepoint one").await;
    open.run("insert into item (id, name) values (3, 'Cid')").await;
    open.run("rollback to savepoint one").await;
    open.commit().await;
    assert_eq!(bench.ops().await, ["insert 2"]);
}

pub async fn a6_every_window_sees_what_was_committed_before(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    assert_eq!(bench.ops().await, Vec::<String>::new());
    for id in 1..=5 {
        lab.user(&format!("insert into item (id, name) values ({id}, 'Ann')")).await;
        assert_eq!(bench.ops().await, [format!("insert {id}")]);
    }
}

pub async fn a1_commit_order_differs_from_id_order(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let mut first = lab.open().await;
    first.run("insert into item (id, name) values (1, 'Ann')").await;
    lab.user("insert into item (id, name) values (2, 'Bob')").await;
    assert_eq!(bench.ops().await, ["insert 2"]);
    first.commit().await;
    assert_eq!(bench.ops().await, ["insert 1"]);
}

/// Renames of one record by two transactions, of which the one that began first made the later change.
pub async fn rule7_changes_come_in_the_order_of_the_log(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'Ann')").await;
    bench.read().await;
    let mut first = lab.open().await;
    first.run("insert into item (id, name) values (50, 'Bob')").await;
    lab.user("update item set id = 2 where id = 1").await;
    first.run("update item set id = 3 where id = 2").await;
    first.commit().await;
    let renames: Vec<String> = bench.ops().await.into_iter().filter(|op| op.starts_with("rename")).collect();
    assert_eq!(renames, ["rename 1 to 2", "rename 2 to 3"]);
}

pub async fn a3_an_idle_transaction_holds_up_nobody(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let mut idle = lab.open().await;
    idle.run("insert into item (id, name) values (1000, 'idle')").await;
    for id in 1..=20 {
        lab.user(&format!("insert into item (id, name) values ({id}, 'Ann')")).await;
        assert_eq!(bench.ops().await, [format!("insert {id}")]);
    }
    idle.commit().await;
    assert_eq!(bench.ops().await, ["insert 1000"]);
}

/// Who keeps changes back is named, and what; and nobody is when it is over.
pub async fn a3_an_open_transaction_is_named(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    let mut idle = lab.open().await;
    idle.run("insert into item (id, name) values (1000, 'idle')").await;
    let asked = || async { bench.endpoint.open_transactions(&bench.tables()).await.unwrap() };
    let mut found = asked().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while found.transactions.is_empty() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
        found = asked().await;
    }
    let [one] = found.transactions.as_slice() else { panic!("{found:?}") };
    assert!(one.who.contains(" of user "), "{one:?}");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!(one.since.is_some_and(|since| (now - 30..=now).contains(&since)), "{one:?} at {now}");
    // MariaDB does not say which tables.
    assert!(one.tables.is_empty() || one.tables == [bench.tables()[0].name.to_string()], "{one:?}");
    assert_eq!(found.missing_right, None);
    idle.rollback().await;
    while !asked().await.transactions.is_empty() {
        assert!(Instant::now() < deadline, "it is over");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub async fn a8_acknowledge_removes_only_what_was_read(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let concurrent = lab.dialect().concurrent_writers;
    let mut open = None;
    if concurrent {
        let mut early = lab.open().await;
        early.run("insert into item (id, name) values (1, 'early')").await;
        open = Some(early);
    }
    lab.user("insert into item (id, name) values (2, 'read')").await;
    let window = bench.window().await;
    assert_eq!(window.entries().iter().map(op).collect::<Vec<_>>(), ["insert 2"]);
    if let Some(early) = open {
        early.commit().await;
    }
    lab.user("insert into item (id, name) values (3, 'late')").await;
    bench.acknowledge(window).await;
    let rest: BTreeSet<String> = bench.ops().await.into_iter().collect();
    let expected: &[&str] = if concurrent { &["insert 1", "insert 3"] } else { &["insert 3"] };
    assert_eq!(rest.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

pub async fn a76_two_consumers_read_all(lab: &dyn Lab) {
    let mut first = Bench::item(lab).await;
    let mut second = first.beside("slow").await;
    for id in 1..=3 {
        lab.user(&format!("insert into item (id, name) values ({id}, 'Ann')")).await;
        assert_eq!(first.ops().await, [format!("insert {id}")]);
    }
    assert_eq!(second.ops().await, ["insert 1", "insert 2", "insert 3"]);
    lab.user("delete from item where id = 1").await;
    assert_eq!(second.ops().await, ["delete 1"]);
    assert_eq!(first.ops().await, ["delete 1"]);
}

/// Each has a cursor of its own, both the one consumer of the log; alone, and beside another integration.
pub async fn s4_2_two_links_on_one_table_read_all(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    bench.tracked.push(bench.tracked[0].clone());
    for round in 0..2 {
        let all: Vec<Key> = (1..=25).map(|id| Key::int(round * 100 + id)).collect();
        for key in &all {
            lab.user(&format!("insert into item (id, name) values ({key}, 'Ann')")).await;
        }
        let keys = |entries: &[Entry], at: usize| -> Vec<Key> {
            entries.iter().filter(|entry| entry.collection == at).map(|entry| entry.key.clone()).collect()
        };
        // One of them is behind: what it has not read stays.
        let window = bench.endpoint.window(&bench.tracked, 10_000).await.unwrap();
        assert_eq!([keys(window.entries(), 0), keys(window.entries(), 1)], [all.clone(), all.clone()]);
        let table = bench.tables().remove(0).name;
        let ahead = Acknowledge { table: table.clone(), position: window.position(0), receipt: window.receipt(0) };
        let behind = Acknowledge { table, position: bench.tracked[1].since.clone().unwrap(), receipt: ReadReceipt::default() };
        drop(window);
        for upto in [[ahead.clone(), behind.clone()], [behind, ahead]] {
            bench.endpoint.acknowledge(&bench.fence, &upto).await.unwrap();
        }
        // With a limit that falls between the two copies of one entry.
        let mut read: [Vec<Key>; 2] = Default::default();
        for pass in 0.. {
            assert!(pass < 60, "it never ends");
            let window = bench.endpoint.window(&bench.tracked, 7).await.unwrap();
            (0..2).for_each(|at| read[at].extend(keys(window.entries(), at)));
            let more = window.more();
            bench.acknowledge(window).await;
            if !more {
                break;
            }
        }
        assert_eq!(read, [all.clone(), all], "round {round}");
        assert_eq!(bench.ops().await, Vec::<String>::new());
        if round == 0 {
            bench.beside("other").await;
        }
    }
}

pub async fn a_window_that_was_not_acknowledged_is_read_again(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'Ann')").await;
    for _ in 0..2 {
        let window = bench.window().await;
        assert_eq!(window.entries().iter().map(op).collect::<Vec<_>>(), ["insert 1"]);
    }
    // Nor is anything lost to a new process.
    bench.endpoint = lab.endpoint().await;
    assert_eq!(bench.ops().await, ["insert 1"]);
    assert_eq!(bench.ops().await, Vec::<String>::new());
}

pub async fn a_window_is_limited_and_says_so(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    for id in 1..=25 {
        lab.user(&format!("insert into item (id, name) values ({id}, 'Ann')")).await;
    }
    let mut keys = Vec::new();
    for round in 0.. {
        assert!(round < 26, "it never ends");
        let window = bench.endpoint.window(&bench.tracked, 10).await.unwrap();
        keys.extend(window.entries().iter().map(|entry| entry.key.clone()));
        let more = window.more();
        bench.acknowledge(window).await;
        if !more {
            assert!(round > 0, "25 entries are more than 10");
            break;
        }
    }
    assert_eq!(keys, (1..=25).map(Key::int).collect::<Vec<_>>());
}

pub async fn a11_a_recreated_log_is_an_error(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'Ann'), (2, 'Bob')").await;
    bench.read().await;
    lab.damage("item", Damage::LogRecreated).await;
    lab.user("insert into item (id, name) values (3, 'Cid')").await;
    match bench.endpoint.window(&bench.tracked, 100).await {
        Err(error) => assert_eq!(error.kind(), Kind::Tracking, "{error}"),
        // A read that is exact all the same is as good: MySQL removes what was read.
        Ok(window) => {
            assert_eq!(lab.dialect().statements, "sql/mysql");
            assert_eq!(window.entries().iter().map(op).collect::<Vec<_>>(), ["insert 3"]);
        }
    }
}

pub async fn i5_the_application_notices_nothing(lab: &dyn Lab) {
    lab.user(&item(lab, "bare")).await;
    let bench = Bench::item(lab).await;
    for id in 1..=40 {
        lab.user(&format!("insert into item (id, name) values ({}, 'noise')", id + 1000)).await;
        lab.user(&format!("insert into bare (id, name) values ({}, 'noise')", id + 1000)).await;
    }
    for statement in [
        "insert into TABLE (code, name) values ('a', 'Ann')",
        "insert into TABLE (code, name) values ('b', 'Bob'), ('c', 'Cid')",
        "update TABLE set name = 'Dan' where code in ('a', 'b')",
        "update TABLE set qty = qty",
        "delete from TABLE where code = 'a'",
        "delete from TABLE where code = 'none'",
    ] {
        let noticed = lab.noticed(&statement.replace("TABLE", "item")).await;
        assert_eq!(noticed, lab.noticed(&statement.replace("TABLE", "bare")).await, "{statement}");
    }
    drop(bench);
}
