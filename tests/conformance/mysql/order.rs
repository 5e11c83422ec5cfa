//! What the order of a log's entries tells: the halves of a REPLACE, and which of two writers was first.

use std::time::Duration;

use super::MysqlLab;
use crate::suite::bench::{Bench, op};
use crate::support::Lab;

/// Waits until a statement of this database waits for a lock. InnoDB looks again only if nobody has asked for a tenth of a second.
async fn a_lock_is_waited_for(lab: &MysqlLab) {
    let waiting = "select count(*) from information_schema.innodb_trx as t join information_schema.processlist as p \
                   on p.id = t.trx_mysql_thread_id where t.trx_state = 'LOCK WAIT' and p.db = database()";
    let waits = async {
        while lab.user_rows(waiting).await[0][0].as_deref() == Some("0") {
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waits).await.unwrap();
}

/// What windows of this size say, one after the other.
async fn in_windows(bench: &mut Bench<'_>, limit: usize) -> Vec<String> {
    let mut ops = Vec::new();
    loop {
        let window = bench.endpoint.window(&bench.tracked, limit).await.unwrap();
        ops.extend(window.entries().iter().map(op));
        let more = window.more();
        bench.acknowledge(window).await;
        if !more {
            return ops;
        }
    }
}

async fn log_of(lab: &MysqlLab, collection: &str) -> String {
    let log = lab.user_rows(&format!("select log from twinrow_collection where name = '{collection}'")).await;
    log[0][0].clone().unwrap()
}

/// A trigger of the application's waits between the delete and the insert, and meanwhile others write: their entry comes between
/// the two.
pub async fn a15_a_replace_beside_other_writers_is_one_record(lab: &MysqlLab) {
    lab.user("create table place (id int primary key)").await;
    lab.user("insert into place values (1)").await;
    let mut bench = Bench::item(lab).await;
    // Newer than ours, so it comes after.
    let pause = "set @paused = (select count(*) from place where id = 1 lock in share mode)";
    lab.user(&format!("create trigger pause after delete on item for each row {pause}")).await;
    lab.user("insert into item (id, name) values (5, 'Ann'), (6, 'Bob')").await;
    bench.read().await;
    let mut beside = None;
    for _ in 0..2 {
        let (mut place, mut replacing) = (lab.open().await, lab.open().await);
        place.run("select id from place where id = 1 for update").await;
        let replace = async {
            replacing.run("replace into item (id, name) values (5, 'Bea')").await;
            replacing.commit().await;
        };
        let other = async {
            a_lock_is_waited_for(lab).await;
            lab.user("update item set name = concat(name, '.') where id = 6").await;
            place.commit().await;
        };
        tokio::join!(replace, other);
        // Alone, and then beside another integration.
        for reader in std::iter::once(&mut bench).chain(&mut beside) {
            assert_eq!(reader.ops().await.join(", "), "update 5, update 6, replace 5");
        }
        if beside.is_none() {
            beside = Some(bench.beside("slow").await);
        }
    }
}

/// Wherever a reading ends: of the log itself, of the queue, and of what an older version wrote. That does not say that it was one
/// statement.
pub async fn a15_a_reading_that_ends_within_a_replace_tells_one_record(lab: &MysqlLab) {
    let mut bench = Bench::item(lab).await;
    let log = log_of(lab, "item").await;
    lab.user("insert into item (id, code) values (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')").await;
    bench.read().await;
    let mut beside: Option<Bench<'_>> = None;
    for kind in ["log", "older", "queue"] {
        if kind == "queue" {
            beside = Some(bench.beside("slow").await);
        }
        for limit in 1..=6 {
            lab.user("update item set qty = qty + 1 where id = 4").await;
            lab.user("replace into item (id, code) select id, code from (select * from item where id < 4) as old").await;
            if kind == "older" {
                lab.user(&format!("update {log} set writer = null")).await;
            }
            let op = if kind == "older" { "put back" } else { "replace" };
            let told = format!("update 4, update 1, {op} 1, update 2, {op} 2, update 3, {op} 3");
            for reader in std::iter::once(&mut bench).chain(&mut beside) {
                assert_eq!(in_windows(reader, limit).await.join(", "), told, "{kind}, {limit}");
            }
        }
    }
}

/// A row for each unique index that is in the way goes, and then one comes.
pub async fn a15_a_replace_by_several_unique_keys_is_one_record(lab: &MysqlLab) {
    let mut bench = Bench::item(lab).await;
    for limit in [1, 2, 100] {
        lab.user("insert into item (id, code) values (1, 'a'), (2, 'b'), (3, 'c')").await;
        bench.read().await;
        lab.user("replace into item (id, code) values (1, 'b')").await;
        let mut told = in_windows(&mut bench, limit).await;
        told.sort();
        assert_eq!(told, ["delete 2", "replace 1", "update 1"], "{limit}");
        // By statements of their own, what comes back is the last that went, or it is new.
        lab.user("delete from item").await;
        lab.user("insert into item (id, code) values (1, 'z')").await;
        assert_eq!(in_windows(&mut bench, limit).await, ["delete 1", "delete 3", "insert 1"], "{limit}");
        lab.user("delete from item").await;
        bench.read().await;
    }
}

/// What one statement deletes and the next one inserts may be another record: its values say so. Also in the queue, and where the two
/// are one transaction or what a procedure does.
pub async fn a15_what_two_statements_put_back_is_no_replace(lab: &MysqlLab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, code) values (1, 'a'), (2, 'b')").await;
    let two = ["delete from item where id = 1", "insert into item (id, code) values (1, 'z')"];
    lab.user(&format!("create procedure again() begin {}; {}; end", two[0], two[1])).await;
    bench.read().await;
    let mut beside = None;
    for _ in 0..2 {
        let mut transaction = lab.open().await;
        for statement in two.into_iter().chain(["replace into item (id, code) values (2, 'y')", "call again()"]) {
            transaction.run(statement).await;
        }
        transaction.commit().await;
        for reader in std::iter::once(&mut bench).chain(&mut beside) {
            let told = "update 1, put back 1, update 2, replace 2, update 1, put back 1";
            assert_eq!(reader.ops().await.join(", "), told);
        }
        if beside.is_none() {
            beside = Some(bench.beside("slow").await);
        }
    }
}

/// A key that people give is free for another record, unless one statement does both.
pub async fn a15_a_replace_is_the_same_record_under_a_given_key(lab: &MysqlLab) {
    lab.user("create table part (code varchar(20) primary key, no int unique, name varchar(20))").await;
    lab.user("insert into part values ('a', 1, 'Ann'), ('b', 2, 'Bob'), ('c', 3, 'Cid')").await;
    let mut bench = Bench::new(lab, &["part"]).await;
    bench.read().await;
    for limit in [1, 2, 3, 100] {
        lab.user("replace into part values ('a', 1, 'Bea'), ('b', 2, 'Ben')").await;
        lab.user("delete from part where code = 'c'").await;
        lab.user("insert into part values ('c', 3, 'Dan')").await;
        let told = "update a, replace a, update b, replace b, delete c, insert c";
        assert_eq!(in_windows(&mut bench, limit).await.join(", "), told, "{limit}");
    }
}

/// Entries move to the queue in steps; nor does one of these end within a REPLACE.
pub async fn a15_a_replace_is_one_record_where_a_drain_ends_within_it(lab: &MysqlLab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (code) values (1)").await;
    for _ in 0..12 {
        lab.user("insert into item (code) select code + (select max(id) from item as a) from item").await;
    }
    bench.read().await;
    let mut beside = bench.beside("slow").await;
    lab.user("update item set qty = 2 where id = 1").await;
    lab.user("replace into item (id, code) select id, code from (select * from item) as old").await;
    bench.window().await;
    let queued = lab.user_rows("select op, count(*) from twinrow_queue group by op order by op").await;
    let queued: Vec<String> = queued.into_iter().flatten().flatten().collect();
    assert_eq!(queued, ["S", "4096", "U", "4097"], "each says by itself what it is");
    for reader in [&mut bench, &mut beside] {
        let ops = reader.ops().await;
        let halves = |what: &str| ops.iter().filter(|op| op.starts_with(what)).count();
        assert_eq!([halves("update"), halves("replace"), ops.len()], [4097, 4096, 8193]);
    }
}

/// Whoever has a child when its parent goes was before that: what the parent's trigger writes of it comes after (rule 6).
pub async fn a13_what_goes_with_a_parent_comes_after_what_was_done_to_it(lab: &MysqlLab) {
    lab.user("create table parent (id int primary key)").await;
    let reference = "foreign key (up) references parent (id) on delete cascade on update cascade";
    lab.user(&format!("create table child (id int primary key, up int, name varchar(20), {reference})")).await;
    lab.user(&format!("create table line (up int, n int, name varchar(20), primary key (up, n), {reference})")).await;
    lab.user("insert into parent values (1), (2)").await;
    lab.user("insert into child (id, up) values (11, 1), (12, 1), (13, 1), (14, 1), (15, 1), (16, 1)").await;
    lab.user("insert into line (up, n) values (2, 1), (2, 2), (2, 3), (2, 4), (2, 5), (2, 6)").await;
    let mut bench = Bench::new(lab, &["child", "line"]).await;
    for (mine, theirs, told) in [
        (
            ["select id from child where id = 16 for update", "update child set name = 'mine' where id = 16"],
            "delete from parent where id = 1",
            ["update 16", "delete 11", "delete 12", "delete 13", "delete 14", "delete 15", "delete 16"],
        ),
        (
            ["select n from line where up = 2 and n = 6 for update", "update line set name = 'mine' where up = 2 and n = 6"],
            "update parent set id = 22 where id = 2",
            [
                "update 2,6",
                "rename 2,1 to 22,1",
                "rename 2,2 to 22,2",
                "rename 2,3 to 22,3",
                "rename 2,4 to 22,4",
                "rename 2,5 to 22,5",
                "rename 2,6 to 22,6",
            ],
        ),
    ] {
        let (mut having, mut parent) = (lab.open().await, lab.open().await);
        having.run(mine[0]).await;
        let going = async {
            parent.run(theirs).await;
            parent.commit().await;
        };
        let writing = async {
            a_lock_is_waited_for(lab).await;
            having.run(mine[1]).await;
            having.commit().await;
        };
        tokio::join!(going, writing);
        assert_eq!(bench.ops().await, told);
    }
}

/// The log of version 3 did not note who wrote. What it holds is read after the upgrade, and nothing is lost.
pub async fn a32_a_log_of_the_third_version_gets_its_column(lab: &MysqlLab) {
    let mut bench = Bench::item(lab).await;
    let log = log_of(lab, "item").await;
    lab.user("insert into item (id, code) values (1, 'a'), (2, 'b')").await;
    lab.user("replace into item (id, code) values (1, 'a')").await;
    lab.user(&format!("alter table {log} drop column writer")).await;
    lab.user("update twinrow_collection set version = 3").await;
    let found = bench.tracking().inspect(&bench.tables()).await.unwrap();
    assert!(found.len() == 1 && !found[0].gap, "older, and nothing is missing: {found:?}");
    bench.tracking().install(&bench.tables(), true).await.unwrap();
    assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
    lab.user("delete from item where id = 2").await;
    assert_eq!(bench.ops().await, ["insert 1", "insert 2", "update 1", "put back 1", "delete 2"]);
}

/// Another child keeps the parent, and the statement passes over it: none of its children has gone, nor moved.
pub async fn a13_what_a_parent_that_stays_was_to_take_along_stays(lab: &MysqlLab) {
    lab.user("create table parent (id int primary key)").await;
    let cascade = "foreign key (up) references parent (id) on delete cascade on update cascade";
    lab.user(&format!("create table line (up int, n int, name varchar(20), primary key (up, n), {cascade})")).await;
    lab.user("create table keeper (up int, foreign key (up) references parent (id))").await;
    lab.user("insert into parent values (1), (2), (3)").await;
    lab.user("insert into keeper values (1), (3)").await;
    lab.user("insert into line (up, n) values (1, 1), (1, 2), (2, 1), (3, 1)").await;
    let mut bench = Bench::new(lab, &["line"]).await;
    let mut beside = bench.beside("slow").await;
    lab.user("update line set name = 'new' where n = 1").await;
    for statement in ["delete ignore from parent where id < 3", "update ignore parent set id = id + 30"] {
        lab.user(statement).await;
    }
    // Whatever the server makes of IGNORE: what is there has neither gone nor moved, and what is not has.
    let rows = lab.user_rows("select concat(up, ',', n) from line order by up, n").await;
    let there: Vec<String> = rows.into_iter().flatten().flatten().collect();
    for reader in [&mut bench, &mut beside] {
        let ops = reader.ops().await;
        let went = |key: &str| ops.iter().any(|op| *op == format!("delete {key}") || op.starts_with(&format!("rename {key} ")));
        for key in ["1,1", "1,2", "2,1", "3,1"] {
            assert_eq!(went(key), !there.contains(&key.to_owned()), "{key}: {ops:?}, there is {there:?}");
        }
        assert!(went("2,1"), "its parent has gone: {ops:?}");
    }
    // What has gone and is there again has gone.
    lab.user("insert into parent values (7)").await;
    lab.user("insert into line (up, n) values (7, 1)").await;
    lab.user("delete from parent where id = 7").await;
    lab.user("insert into parent values (7)").await;
    lab.user("insert into line (up, n) values (7, 1)").await;
    for reader in [&mut bench, &mut beside] {
        assert_eq!(reader.ops().await, ["insert 7,1", "delete 7,1", "insert 7,1"]);
    }
}

/// What stood between a delete and an insert of the same key says that they are no REPLACE, also where a newer entry repeats it.
pub async fn a15_compaction_makes_no_replace_of_two_statements(lab: &MysqlLab) {
    let mut bench = Bench::item(lab).await;
    let rows: Vec<String> = (1..=100).map(|id| format!("({id}, 'c{id}')")).collect();
    lab.user(&format!("insert into item (id, code) values {}", rows.join(", "))).await;
    bench.read().await;
    lab.user("delete from item where id = 3").await;
    lab.user("update item set name = 'between' where id = 2").await;
    lab.user("insert into item (id, code) values (3, 'another')").await;
    for _ in 0..120 {
        lab.user("update item set qty = qty + 1 where id <> 3").await;
    }
    while bench.endpoint.compact(&bench.fence, &bench.tables()).await.unwrap() {}
    let ops = bench.ops().await;
    assert!(ops.len() < 1_000, "{} entries are left", ops.len());
    let three: Vec<&String> = ops.iter().filter(|op| op.ends_with(" 3")).collect();
    assert_eq!(three, ["delete 3", "insert 3"]);
}
