//! Rows that the application and Twinrow want at the same moment: only ours ever gives way.

use std::collections::BTreeMap;
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use twinrow::endpoint::{Change, Create};
use twinrow::error::{Kind, Result};
use twinrow::model::Key;
use twinrow::sql::{Cell, Cells};

use super::bench::{Bench, op, t, text};
use super::store::receipt;
use crate::support::Lab;

const CODE: usize = 1;
const NAME: usize = 2;

/// The transactions of each of two writers of the application's.
const ROUNDS: u64 = 150;

/// The application takes two rows in one order, we in the other.
pub async fn a44_rows_taken_in_opposite_order_never_fail_the_application(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let mut second = bench.beside("second").await;
    lab.user("insert into item (id, name, qty) values (1, 'Ann', 0), (2, 'Bob', 0)").await;
    bench.read().await;
    second.read().await;
    let done = AtomicBool::new(false);
    let application = async {
        tokio::join!(take_two_then_one(lab), take_two_then_one(lab));
        done.store(true, Ordering::SeqCst);
    };
    let reading = async {
        let mut ops = Vec::new();
        while !done.load(Ordering::SeqCst) {
            ops.extend(second.ops().await);
            pause(lab, 0).await;
        }
        ops
    };
    let ((), mut ours, mut seen) = tokio::join!(application, take_one_then_two(&mut bench, &done), reading);
    let all = 2 * ROUNDS;
    let stored = lab.user_rows("select qty from item order by id").await;
    assert_eq!(stored.concat(), [Some(all.to_string()), Some(all.to_string())]);
    ours.read.extend(bench.ops().await);
    seen.extend(second.ops().await);
    let [one, two] = ours.written;
    assert!(one > 0 && two > 0, "ours never had its turn: {ours:?}");
    assert!(ours.skipped > 0 || ours.gave_way > 0 || !lab.dialect().concurrent_writers, "never at the same moment: {ours:?}");
    let written = BTreeMap::from([("update 1".to_owned(), all + one), ("update 2".to_owned(), all + two)]);
    assert_eq!(counted(&ours.read), written);
    assert_eq!(counted(&seen), written, "by the other integration");
}

/// No statement of these may fail.
async fn take_two_then_one(lab: &dyn Lab) {
    for round in 0..ROUNDS {
        let mut open = lab.open().await;
        open.run("update item set qty = qty + 1 where id = 2").await;
        open.run("update item set qty = qty + 1 where id = 1").await;
        open.commit().await;
        pause(lab, round % 4).await;
    }
}

/// So that each of those who take turns has one.
async fn pause(lab: &dyn Lab, milliseconds: u64) {
    let turn = if lab.dialect().concurrent_writers { 1 } else { 10 };
    tokio::time::sleep(Duration::from_millis(turn + milliseconds)).await;
}

#[derive(Debug, Default)]
struct Ours {
    read: Vec<String>,
    /// How often the first and the second row.
    written: [u64; 2],
    /// Rows that were the application's at that moment.
    skipped: u64,
    /// Transactions for which the one writer's place was not free in time.
    gave_way: u64,
}

/// What a cycle does, again and again: read, write, acknowledge.
async fn take_one_then_two(bench: &mut Bench<'_>, done: &AtomicBool) -> Ours {
    let mut ours = Ours::default();
    let mut last = false;
    while !last {
        last = done.load(Ordering::SeqCst);
        let window = bench.window().await;
        ours.read.extend(window.entries().iter().map(op));
        match write_one_then_two(bench, &format!("ours {}", ours.read.len())).await {
            Ok(written) => {
                ours.skipped += written.iter().filter(|written| !**written).count() as u64;
                ours.written.iter_mut().zip(written).for_each(|(count, written)| *count += u64::from(written));
            }
            // Where rows can be passed over there is nothing to wait for.
            Err(error) if error.kind() == Kind::Retry && !bench.lab.dialect().concurrent_writers => ours.gave_way += 1,
            Err(error) => panic!("{error}"),
        }
        bench.acknowledge(window).await;
        pause(bench.lab, 0).await;
    }
    ours
}

/// Which of the two were free, and are written.
async fn write_one_then_two(bench: &Bench<'_>, name: &str) -> Result<[bool; 2]> {
    let keys = [Key::int(1), Key::int(2)];
    let mut write = bench.endpoint.begin(&bench.fence).await?;
    let locked = write.lock(bench.collection(), &keys).await?;
    let free = [locked[0].is_some(), locked[1].is_some()];
    for (key, _) in keys.iter().zip(free).filter(|(_, free)| *free) {
        write.update(bench.collection(), &[NAME], from_ref(&change(key, name))).await?;
    }
    write.read_back(bench.collection(), &keys).await?;
    write.commit().await?;
    Ok(free)
}

fn change(key: &Key, name: &str) -> Change {
    Change { key: key.clone(), version: None, values: vec![t(name)] }
}

fn counted(ops: &[String]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    ops.iter().for_each(|op| *counts.entry(op.clone()).or_default() += 1);
    counts
}

/// Ours waits for a row of the application's, which in the second round waits for one of ours: a lock time-out, and a
/// deadlock.
pub async fn a44_when_ours_is_the_victim_nothing_of_it_stands(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    lab.user("create table ballast (id int primary key)").await;
    lab.user("insert into item (name) values ('Ann'), ('Bob'), ('Cid')").await;
    bench.read().await;
    let keys = [1, 2, 3].map(Key::int);
    for crossed in [false, true] {
        let mut app = lab.open().await;
        // Much to undo: a server that chooses the smaller one does not choose the application.
        let ballast = (0..3000).map(|n| format!("({n})")).collect::<Vec<_>>().join(", ");
        app.run(&format!("insert into ballast values {ballast}")).await;
        app.run("update item set qty = 7 where id = 1").await;
        let mut write = bench.begin().await;
        let locked = write.lock(bench.collection(), &keys).await.unwrap();
        assert_eq!([0, 1, 2].map(|at| locked[at].is_some()), [false, true, true]);
        let create = Create { key: None, values: vec![t("new")] };
        write.insert(bench.collection(), &[CODE], from_ref(&create)).await.unwrap();
        write.update(bench.collection(), &[NAME], from_ref(&change(&keys[1], "ours"))).await.unwrap();
        write.delete(bench.collection(), from_ref(&keys[2])).await.unwrap();
        write.session().execute("receipt_insert", &[receipt(1)]).await.unwrap();
        let first = change(&keys[0], "ours");
        let waits = write.update(bench.collection(), &[NAME], from_ref(&first));
        let crosses = async {
            if crossed {
                app.run("update item set qty = 7 where id = 2").await;
            }
        };
        let (refused, ()) = tokio::join!(waits, crosses);
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), Kind::Retry, "{error}");
        write.rollback().await.unwrap();
        app.run("delete from ballast").await;
        app.commit().await;

        let rows = lab.user_rows("select concat(id, name, qty) from item order by id").await;
        let bob = if crossed { "2Bob7" } else { "2Bob1" };
        assert_eq!(rows.concat(), ["1Ann7", bob, "3Cid1"].map(|row| Some(row.to_owned())));
        let theirs: &[&str] = if crossed { &["update 1", "update 2"] } else { &["update 1"] };
        assert_eq!(bench.ops().await, theirs);
        let mut session = bench.store().session().await.unwrap();
        let receipts = session.query("receipt_read", &[vec![text("suite"), Cell::Int(0), Cell::Int(10)]]).await.unwrap();
        assert_eq!(receipts, Vec::<Cells>::new());
    }
    // Tried again, it is done.
    assert_eq!(write_one_then_two(&bench, "again").await.unwrap(), [true, true]);
    assert_eq!(bench.ops().await, ["update 1", "update 2"]);
}
