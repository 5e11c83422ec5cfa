//! What statements that are asked by keys read of a large map: a few rows for each key, however many rows there are. No clock:
//! the servers count.

use twinrow::sql::{Cell, Cells, Fence};

use super::bench::{Bench, text};
use super::store::{pair, receipt};
use crate::support::Lab;

/// The rows of each table.
pub const ROWS: i64 = 6_000;
/// The keys of a batch: so few that no table of that size is read whole for them.
pub const KEYS: i64 = 100;
/// What a key may cost: its row, once more to change it, and an answer before the change.
const PER_KEY: u64 = 4;

/// Row `n` of a set of parameters.
type Numbered = fn(i64) -> Cells;

/// A statement that is asked by keys, the table it looks into, and row `n` of its parameters.
pub struct ByKey {
    pub name: &'static str,
    pub table: &'static str,
    pub parameters: Numbered,
}

/// All of them, but for `conflict_absorb`: it is asked by pairs, when a process takes over what another one left behind, and
/// reads the few conflicts there are once for all.
pub const BY_KEY: &[ByKey] = &[
    by_key("pair_by_id", "pair", |n| vec![Cell::Int(n)]),
    by_key("pair_by_source", "pair", |n| of_link(n, 2)),
    by_key("pair_by_target", "pair", |n| of_link(n, 3)),
    by_key("pair_by_source_former", "pair", |n| of_link(n, 2)),
    by_key("pair_by_target_former", "pair", |n| of_link(n, 3)),
    by_key("pair_detach_source", "pair", |n| detached(n, 2)),
    by_key("pair_detach_target", "pair", |n| detached(n, 3)),
    by_key("pair_let_go", "pair", |n| vec![Cell::Int(n), Cell::Int(2)]),
    by_key("pair_rebase", "pair", |n| {
        let mut cells: Cells = [n, 7, 8, 2, 9, 1].map(Cell::Int).to_vec();
        cells.push(Cell::Bytes(vec![0, 255]));
        cells
    }),
    by_key("pair_update", "pair", |n| pair(n, 2)),
    by_key("work_read", "work", |n| work(n)[..3].to_vec()),
    by_key("work_delete", "work", |n| work(n)[..3].to_vec()),
    by_key("work_touch", "work", |n| work(n)[..3].to_vec()),
    by_key("work_approve", "work", |n| [&work(n)[..3], &[Cell::Bytes(vec![0, 255])]].concat()),
    by_key("work_release", "work", |n| vec![work(n)[5].clone()]),
    by_key("conflict_keep", "conflict", |n| vec![conflict(n)[0].clone()]),
    by_key("conflict_drop", "conflict", |n| vec![conflict(n)[0].clone()]),
    by_key("conflict_decided", "conflict", |n| vec![conflict(n)[0].clone()]),
    by_key("receipt_delete", "receipt", |n| receipt(n)[..2].to_vec()),
    by_key("intent_delete", "intent", |n| vec![Cell::Int(n)]),
    by_key("intent_move", "intent", |n| vec![Cell::Int(n), bytes(b'm', n), Cell::Int(1), Cell::Int(0)]),
];

const fn by_key(name: &'static str, table: &'static str, parameters: Numbered) -> ByKey {
    ByKey { name, table, parameters }
}

fn bytes(kind: u8, n: i64) -> Cell {
    Cell::Bytes([&[kind][..], &n.to_be_bytes()].concat())
}

fn of_link(n: i64, column: usize) -> Cells {
    vec![Cell::Int(1), pair(n, 1)[column].clone()]
}

fn detached(n: i64, column: usize) -> Cells {
    vec![Cell::Int(1), pair(n, 1)[column].clone(), Cell::Int(-1), Cell::Int(2)]
}

fn work(n: i64) -> Cells {
    let mut cells = vec![Cell::Int(1), Cell::Int(n % 2), bytes(b'k', n), Cell::Int(1), text("waits"), bytes(b'p', n)];
    cells.extend([0, 5, 1, 100].map(Cell::Int));
    cells.push(Cell::Null);
    cells
}

fn conflict(n: i64) -> Cells {
    let mut cells = vec![bytes(b'c', n), text("suite"), Cell::Int(1), Cell::Int(n), bytes(b's', n), bytes(b't', n)];
    cells.extend([Cell::Int(0), Cell::Null, Cell::Null, Cell::Int(n % 3), Cell::Int(n)]);
    cells
}

fn intent(n: i64) -> Cells {
    let mut cells = vec![Cell::Int(n), Cell::Int(1), Cell::Int(0), bytes(b'k', n), text("token")];
    cells.extend([1, 60, 0].map(Cell::Int));
    cells.extend([Cell::Bytes(vec![1]), Cell::Int(0)]);
    cells
}

/// The keys of a batch: every other one is nobody's, as those of new records are.
pub fn asked(statement: &ByKey) -> Vec<Cells> {
    (0..KEYS).map(|i| (statement.parameters)(ROWS / 2 + i + (i % 2) * ROWS)).collect()
}

/// Puts rows of these numbers into each table. (No pair has ever lost a side: a server that counts values takes an index full of
/// NULLs for one that finds all pairs under any key.)
async fn fill(bench: &Bench<'_>, numbers: std::ops::Range<i64>) {
    let mut transaction = bench.store().begin(&bench.fence).await.unwrap();
    let all: [(&'static str, Numbered); 5] = [
        ("pair_insert", |n| pair(n, 1)),
        ("work_write", work),
        ("conflict_write", conflict),
        ("receipt_insert", receipt),
        ("intent_write", intent),
    ];
    for (name, row) in all {
        let set: Vec<Cells> = numbers.clone().map(row).collect();
        transaction.execute(name, &set).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// Tables that were nearly empty when their server last looked at them, and are not any more.
pub async fn grown<'a>(lab: &'a dyn Lab, analyze: &str) -> Bench<'a> {
    let bench = Bench::item(lab).await;
    fill(&bench, 1..20).await;
    self::analyze(lab, analyze).await;
    fill(&bench, 20..ROWS + 1).await;
    bench
}

/// The server looks at the tables.
pub async fn analyze(lab: &dyn Lab, statement: &str) {
    for table in ["pair", "work", "conflict", "receipt", "intent"] {
        lab.user(&format!("{statement} {}{table}", lab.dialect().own)).await;
    }
}

pub async fn statements_by_key_read_a_few_rows_a_key(lab: &dyn Lab) {
    let word = if lab.dialect().own == "twinrow." { "analyze" } else { "analyze table" };
    let bench = grown(lab, word).await;
    let fence = bench.fence.clone();
    drop(bench);
    let former = |statement: &&ByKey| statement.name.ends_with("_former");
    let mut costly = read_a_lot(lab, &fence, BY_KEY.iter(), "as they grew").await;
    analyze(lab, word).await;
    costly.extend(read_a_lot(lab, &fence, BY_KEY.iter(), "looked at").await);
    lose(lab, &fence).await;
    costly.extend(read_a_lot(lab, &fence, BY_KEY.iter().filter(former), "after a mass delete").await);
    assert!(costly.is_empty(), "for {KEYS} keys, tables that their server last saw so, rows read: {costly:?}");
}

/// A third of the pairs loses a side, as when many records are deleted.
async fn lose(lab: &dyn Lab, fence: &Fence) {
    let endpoint = lab.endpoint().await;
    let mut transaction = endpoint.store().unwrap().begin(fence).await.unwrap();
    for (name, column) in [("pair_detach_source", 2), ("pair_detach_target", 3)] {
        let set: Vec<Cells> = (1..ROWS / 3).map(|n| detached(n, column)).collect();
        transaction.query(name, &set).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// The statements that read more than that.
async fn read_a_lot<'s>(
    lab: &dyn Lab,
    fence: &Fence,
    statements: impl Iterator<Item = &'s ByKey>,
    when: &'static str,
) -> Vec<(&'static str, &'static str, u64)> {
    let mut costly = Vec::new();
    for statement in statements {
        let table = format!("{}{}", lab.dialect().own, statement.table);
        let before = lab.rows_read(&table).await.unwrap();
        let endpoint = lab.endpoint().await;
        let mut transaction = endpoint.store().unwrap().begin(fence).await.unwrap();
        transaction.query(statement.name, &asked(statement)).await.unwrap();
        transaction.rollback().await.unwrap();
        drop(endpoint);
        let read = lab.rows_read(&table).await.unwrap() - before;
        let counts = read > 0 || statement.name.ends_with("_former");
        assert!(counts, "{}: half of the keys are there, so the count counts nothing", statement.name);
        if read > PER_KEY * KEYS as u64 {
            costly.push((statement.name, when, read));
        }
    }
    costly
}
