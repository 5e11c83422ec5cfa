//! Logs stay short though somebody does not read them.

use std::collections::{BTreeMap, BTreeSet};

use twinrow::endpoint::{Change, Tracked};
use twinrow::model::{Entry, Key, KeyBytes, Op, Pos, Value};

use super::bench::{Bench, op};
use crate::support::Lab;

const NAME: usize = 2;

/// More than is compacted at all.
const MANY: usize = 12_000;

/// As many updates as make a log worth compacting, of the rows there are.
async fn update_often(lab: &dyn Lab, rows: usize) {
    let mut open = lab.open().await;
    for _ in 0..MANY.div_ceil(rows) {
        open.run("update item set qty = qty + 1").await;
    }
    open.commit().await;
}

async fn insert(lab: &dyn Lab, ids: std::ops::RangeInclusive<i64>) {
    let rows: Vec<String> = ids.map(|id| format!("({id}, 'n')")).collect();
    lab.user(&format!("insert into item (id, name) values {}", rows.join(", "))).await;
}

impl Bench<'_> {
    /// Takes bites of the log until there is nothing left to do.
    async fn compact(&self) {
        for _ in 0..1_000 {
            if !self.endpoint.compact(&self.fence, &self.tables()).await.unwrap() {
                return;
            }
        }
        panic!("it never ends");
    }

    /// How many entries it has not read.
    async fn waiting(&self) -> u64 {
        let tracked: Vec<Tracked> = self.tracked.clone();
        self.endpoint.backlog(&tracked, 1_000_000).await.unwrap()[0]
    }
}

/// All entries but plain updates, and where each key was last named.
fn told(entries: &[Entry]) -> (Vec<String>, BTreeMap<KeyBytes, Pos>) {
    let mut last: BTreeMap<KeyBytes, Pos> = BTreeMap::new();
    for entry in entries {
        let named = match &entry.op {
            Op::Rename { to } => vec![&entry.key, to],
            _ => vec![&entry.key],
        };
        for key in named {
            let pos = last.entry(key.encode()).or_default();
            *pos = entry.pos.max(*pos);
        }
    }
    (entries.iter().filter(|entry| entry.op != Op::Update).map(op).collect(), last)
}

/// What a compacted log says is what it said before, but for repetitions: every insert, delete and change of a key in
/// its order, every key that was touched, and for each the place of its last entry.
pub async fn rule9_compaction_takes_only_what_a_newer_entry_repeats(lab: &dyn Lab) {
    let mut present = Bench::item(lab).await;
    let mut absent = present.beside("absent").await;
    insert(lab, 1..=100).await;
    update_often(lab, 100).await;
    for statement in [
        "delete from item where id = 1",
        "insert into item (id, name) values (1, 'another')",
        "update item set name = 'b' where id = 1",
        "update item set id = 1002 where id = 2",
        "update item set name = 'c' where id = 1002",
        "update item set id = 2 where id = 3",
        "delete from item where id = 4",
        "update item set name = 'd' where id = 2",
    ] {
        lab.user(statement).await;
    }
    update_often(lab, 100).await;
    lab.user("delete from item where id = 5").await;
    let whole = told(&present.read().await);
    let before = absent.waiting().await;
    assert!(before > MANY as u64 * 3 / 2, "{before}");
    present.compact().await;
    let after = absent.waiting().await;
    assert!(after < 500, "{after} of {before} entries are left");
    assert_eq!(told(&absent.read().await), whole);
    assert_eq!(absent.waiting().await, 0);
}

/// That the last one who wrote a row is Twinrow does not hide that an application has written it before: whose change it is, is told.
pub async fn rule9_compaction_leaves_whose_change_it_is(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    insert(lab, 1..=3).await;
    bench.read().await;
    lab.user("update item set name = 'theirs' where id = 1").await;
    let ours = |id: i64| Change { key: Key::int(id), version: None, values: vec![Value::Text("ours".to_owned())] };
    let mut write = bench.begin().await;
    write.update(bench.collection(), &[NAME], &[ours(1), ours(2)]).await.unwrap();
    write.commit().await.unwrap();
    lab.user("update item set name = 'theirs' where id = 2").await;
    let mut open = lab.open().await;
    for _ in 0..MANY {
        open.run("update item set qty = qty + 1 where id = 3").await;
    }
    open.commit().await;
    bench.compact().await;
    let mut told: Vec<(String, bool)> = bench.read().await.iter().map(|entry| (op(entry), entry.own)).collect();
    told.dedup();
    let told: Vec<(&str, bool)> = told.iter().map(|(op, own)| (op.as_str(), *own)).collect();
    assert_eq!(told, [("update 1", false), ("update 1", true), ("update 2", false), ("update 3", false)]);
}

/// The first integration runs, the second never does: the log does not grow with what happens.
pub async fn an_absent_consumer_leaves_the_log_bounded(lab: &dyn Lab) {
    let mut present = Bench::item(lab).await;
    let mut absent = present.beside("absent").await;
    insert(lab, 1..=200).await;
    for _ in 0..3 {
        update_often(lab, 200).await;
        present.read().await;
        present.compact().await;
        let waiting = absent.waiting().await;
        assert!(waiting < MANY as u64, "{waiting}");
    }
    let touched: BTreeSet<KeyBytes> = absent.read().await.iter().map(|entry| entry.key.encode()).collect();
    assert_eq!(touched.len(), 200);
}

/// Nobody ran for a while; then what waits is compacted first.
pub async fn a_backlog_is_compacted_before_it_is_read(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    insert(lab, 1..=50).await;
    bench.read().await;
    update_often(lab, 50).await;
    lab.user("delete from item where id = 7").await;
    // As a new process.
    bench.endpoint = lab.endpoint().await;
    bench.compact().await;
    let read: BTreeSet<String> = bench.ops().await.into_iter().collect();
    let mut expected: BTreeSet<String> = (1..=50).filter(|id| *id != 7).map(|id| format!("update {id}")).collect();
    expected.insert("delete 7".to_owned());
    assert_eq!(read.iter().filter(|op| *op != "update 7").cloned().collect::<BTreeSet<_>>(), expected);
}

/// An entry that is not committed is no reason to drop an older one, nor is it dropped itself.
pub async fn compaction_leaves_open_transactions_alone(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    insert(lab, 1..=60).await;
    bench.read().await;
    lab.user("update item set name = 'committed' where id in (1, 2)").await;
    let (mut undone, mut late) = (lab.open().await, lab.open().await);
    undone.run("update item set name = 'undone' where id = 1").await;
    late.run("update item set name = 'late' where id = 2").await;
    late.run("update item set name = 'later' where id = 2").await;
    let mut others = lab.open().await;
    for _ in 0..MANY / 50 {
        others.run("update item set qty = qty + 1 where id > 10").await;
    }
    others.commit().await;
    bench.compact().await;
    assert!(bench.waiting().await < 100);
    undone.rollback().await;
    let read = bench.ops().await;
    let of = |id: i64, read: &[String]| read.iter().filter(|op| **op == format!("update {id}")).count();
    assert_eq!((of(1, &read), of(2, &read)), (1, 1));
    late.commit().await;
    assert_eq!(bench.ops().await, ["update 2", "update 2"]);
}
