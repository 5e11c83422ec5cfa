//! Twinrow's own tables, through the named statements.

use std::collections::BTreeSet;

use twinrow::error::Kind;
use twinrow::model::{Both, Conflict, ConflictState, Side, Value};
use twinrow::sql::{Cell, Cells, int};
use twinrow::state;

use super::bench::{Bench, text};
use crate::support::Lab;

/// The parameters of every statement, a letter each: `i` integer, `t` text, `b` bytes, `n` NULL.
const PARAMETERS: &[(&str, &str)] = &[
    ("brake_approve", "iiib"),
    ("brake_count", "iiiii"),
    ("brake_delete", "iii"),
    ("brake_read", "i"),
    ("brake_reset", "iii"),
    ("brake_window", "ii"),
    ("brake_write", "iiibiiin"),
    ("collection_lock", "t"),
    ("conflict_absorb", "i"),
    ("conflict_count", "i"),
    ("conflict_decided", "b"),
    ("conflict_drop", "b"),
    ("conflict_hold", "btiibnitnii"),
    ("conflict_keep", "b"),
    ("conflict_links", "t"),
    ("conflict_pending", "t"),
    ("conflict_list", "ti"),
    ("conflict_row", "bi"),
    ("conflict_show", "tb"),
    ("conflict_sweep", "i"),
    ("conflict_values", "btn"),
    ("conflict_write", "btiibnitnii"),
    ("cursor_read", "i"),
    ("cursor_write", "iit"),
    ("fence_check", "ti"),
    ("fence_home", "tii"),
    ("fence_insert", "tt"),
    ("fence_read", "t"),
    ("fence_take", "ti"),
    ("intent_delete", "i"),
    ("intent_move", "ibii"),
    ("intent_read", "i"),
    ("intent_write", "iiibtiiibi"),
    ("lease_beat", "tii"),
    ("lease_others", "t"),
    ("lease_read", "t"),
    ("lease_take", "ttii"),
    ("link_next", ""),
    ("link_read", "t"),
    ("link_write", "ttit"),
    ("pair_by_id", "i"),
    ("pair_by_source", "ib"),
    ("pair_by_source_former", "ib"),
    ("pair_by_target", "ib"),
    ("pair_by_target_former", "ib"),
    ("pair_any", "i"),
    ("pair_count", "i"),
    ("pair_detach_source", "ibii"),
    ("pair_detach_target", "ibii"),
    ("pair_absorb", "iibbnniiiiiib"),
    ("pair_insert", "iibbnniiiiiib"),
    ("pair_log_anew", "ii"),
    ("pair_page", "iii"),
    ("pair_rebase", "iiiiiib"),
    ("pair_total", "i"),
    ("pair_update", "iibbnniiiiiib"),
    ("pair_let_go", "ii"),
    ("receipt_delete", "ti"),
    ("receipt_insert", "tiiibbnniiiiiibn"),
    ("receipt_read", "tii"),
    ("run_read", "ti"),
    ("run_write", "titint"),
    ("scan_delete", "i"),
    ("scan_read", "i"),
    ("scan_write", "iibi"),
    ("seen_read", "t"),
    ("seen_write", "ttti"),
    ("setting_add", "tti"),
    ("setting_read", "t"),
    ("setting_write", "ttt"),
    ("work_approve", "iibb"),
    ("work_count", "i"),
    ("work_delete", "iib"),
    ("work_due", "iiiii"),
    ("work_hasten", "iii"),
    ("work_list", "iibi"),
    ("work_read", "iib"),
    ("work_release", "b"),
    ("work_retry", "ii"),
    ("work_touch", "iib"),
    ("work_write", "iibitbiiiib"),
];

/// Row `n` of parameters: no two rows share a value.
fn parameters(letters: &str, n: i64) -> Cells {
    let cell = |(i, letter): (usize, char)| match letter {
        'i' => Cell::Int(n + 1),
        't' => Cell::Text(format!("value {i} of {n}")),
        'b' => Cell::Bytes(vec![i as u8, (n >> 8) as u8, n as u8]),
        _ => Cell::Null,
    };
    letters.chars().enumerate().map(cell).collect()
}

pub async fn every_statement_runs(lab: &dyn Lab) {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(lab.dialect().statements);
    let files: BTreeSet<String> = std::fs::read_dir(directory)
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".sql")?.to_owned()))
        .collect();
    let bench = Bench::item(lab).await;
    for (name, letters) in PARAMETERS {
        assert!(files.contains(*name), "{name} has no file");
        for rows in [0, 1, 3000] {
            let set: Vec<Cells> = (0..rows).map(|n| parameters(letters, n)).collect();
            let mut transaction = bench.store().begin(&bench.fence).await.unwrap();
            let result = transaction.query(name, &set).await;
            transaction.rollback().await.unwrap();
            assert!(result.is_ok(), "{name} with {rows} rows: {result:?}");
        }
    }
}

/// Rows that are long go by themselves, others with their conflicts; each is read as it was.
pub async fn i4_a_conflict_of_long_rows_is_kept_whole(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    let row = |letter: &str, length: usize| Some(vec![Value::Text(letter.repeat(length)), Value::Null, Value::Int(7)]);
    let conflict = |n: u8, source: usize, target: usize| Conflict {
        id: vec![n; 16],
        pair: i64::from(n),
        link: 1,
        key: Both::default(),
        loser: Some(Side::Target),
        rows: Both { source: row("\"", source), target: row("b", target) },
        state: ConflictState::Pending,
    };
    let lengths = [(200_000, 300_000), (100_000, 3), (4, 400_000), (5, 6)];
    let all: Vec<Conflict> = (1..).zip(lengths).map(|(n, (source, target))| conflict(n, source, target)).collect();
    let mut transaction = bench.store().begin(&bench.fence).await.unwrap();
    // Written twice it is the same.
    for _ in 0..2 {
        state::write_conflicts(&mut *transaction, "suite", &all, true, 100).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let mut session = bench.store().session().await.unwrap();
    for (one, (source, target)) in all.iter().zip(lengths) {
        let shown = state::conflict(&mut *session, "suite", &one.id).await.unwrap().unwrap();
        let text = |row: &Option<String>| {
            let row: Vec<Option<String>> = serde_json::from_str(row.as_ref().unwrap()).unwrap();
            assert_eq!(row[1..], [None, Some("7".to_owned())]);
            row[0].clone().unwrap()
        };
        assert_eq!(text(&shown.rows.source), "\"".repeat(source));
        assert_eq!(text(&shown.rows.target), "b".repeat(target));
    }
}

const PAIR_COLUMNS: usize = 13;

/// A pair of link 1.
pub(super) fn pair(id: i64, ver: i64) -> Cells {
    let key = |side: u8| Cell::Bytes([&[side][..], &id.to_be_bytes()].concat());
    let mut cells = vec![Cell::Int(id), Cell::Int(1), key(b's'), key(b't'), Cell::Null, Cell::Null];
    cells.extend([0, 0, 0, ver, 1, 0].map(Cell::Int));
    cells.push(Cell::Bytes(vec![7; 11]));
    assert_eq!(cells.len(), PAIR_COLUMNS);
    cells
}

pub async fn pairs_are_written_by_version(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    for (first, count) in [(1, 1_i64), (10_000, 3000)] {
        let ids = first..first + count;
        let mut transaction = bench.store().begin(&bench.fence).await.unwrap();
        let rows: Vec<Cells> = ids.clone().map(|id| pair(id, 1)).collect();
        assert_eq!(transaction.execute("pair_insert", &rows).await.unwrap(), count as u64);
        assert_eq!(transaction.execute("pair_absorb", &rows).await.unwrap(), 0, "insert if absent");
        transaction.commit().await.unwrap();

        let mut transaction = bench.store().begin(&bench.fence).await.unwrap();
        let known = transaction.execute("pair_insert", &rows[..1]).await;
        assert_eq!(known.unwrap_err().kind(), Kind::Duplicate, "of a new pair all is new");
        transaction.rollback().await.unwrap();

        let mut session = bench.store().session().await.unwrap();
        let keys: Vec<Cells> = rows.iter().map(|row| vec![Cell::Int(1), row[2].clone()]).collect();
        let mut found = session.query("pair_by_source", &keys).await.unwrap();
        found.sort();
        assert_eq!(found, rows);
        drop(session);

        let mut transaction = bench.store().begin(&bench.fence).await.unwrap();
        let update = |ver| ids.clone().map(|id| pair(id, ver)).collect::<Vec<_>>();
        assert_eq!(transaction.execute("pair_update", &update(2)).await.unwrap(), count as u64);
        assert_eq!(transaction.execute("pair_update", &update(2)).await.unwrap(), 0, "recorded meanwhile (rule 3)");
        let rebased: Vec<Cells> = ids.clone().map(rebased).collect();
        assert_eq!(transaction.execute("pair_rebase", &rebased).await.unwrap(), count as u64);
        assert_eq!(transaction.execute("pair_rebase", &rebased).await.unwrap(), 0, "recorded meanwhile (rule 3)");
        let mut found =
            transaction.query("pair_by_id", &ids.clone().map(|id| vec![Cell::Int(id)]).collect::<Vec<_>>()).await.unwrap();
        found.sort();
        assert!(found.iter().zip(&rows).all(|(now, was)| now[..6] == was[..6]), "the keys stay");
        assert!(found.iter().zip(&rebased).all(|(now, new)| now[6..8] == new[1..3] && now[9..] == new[3..]));
        // Two that exchange their keys.
        if count > 1 {
            let exchanged: Vec<Cells> = [(first, first + 1), (first + 1, first)]
                .map(|(id, of)| {
                    let mut cells = pair(of, 4);
                    cells[0] = Cell::Int(id);
                    cells
                })
                .to_vec();
            let versions: Vec<Cells> = exchanged.iter().map(|cells| vec![cells[0].clone(), cells[9].clone()]).collect();
            assert_eq!(transaction.execute("pair_let_go", &versions).await.unwrap(), 2);
            assert_eq!(transaction.execute("pair_update", &exchanged).await.unwrap(), 2);
        }
        let detached = transaction.query("pair_detach_target", &[detach(first)]).await.unwrap();
        assert_eq!((detached.len(), &detached[0][3], &detached[0][5]), (1, &Cell::Null, &rows[0][3]));
        transaction.commit().await.unwrap();
    }
}

/// What `pair_rebase` makes of version 2 of pair `id`.
fn rebased(id: i64) -> Cells {
    vec![Cell::Int(id), Cell::Int(7), Cell::Int(8), Cell::Int(3), Cell::Int(9), Cell::Int(1), Cell::Bytes(vec![0, 255, 1])]
}

/// Another record was given the target key of pair `id`.
fn detach(id: i64) -> Cells {
    vec![Cell::Int(1), pair(id, 1)[3].clone(), Cell::Int(-1), Cell::Int(2)]
}

pub async fn work_is_written_again(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    for count in [1, 3000] {
        let work = |cause: &str, attempts: i64| -> Vec<Cells> {
            let one = |n: i64| {
                let mut cells = vec![Cell::Int(count), Cell::Int(0), Cell::Bytes(n.to_be_bytes().to_vec()), Cell::Int(1)];
                cells.extend([text(cause), Cell::Null]);
                cells.extend([attempts, 5, 1, 100 + n + attempts].map(Cell::Int));
                cells.push(Cell::Null);
                cells
            };
            (0..count).map(one).collect()
        };
        let mut transaction = bench.store().begin(&bench.fence).await.unwrap();
        transaction.execute("work_write", &work("first", 4)).await.unwrap();
        transaction.execute("work_write", &work("second", 1)).await.unwrap();
        transaction.commit().await.unwrap();
        let mut session = bench.store().session().await.unwrap();
        let due = session.query("work_due", &[[count, 5, 9, 0, 10_000].map(Cell::Int).to_vec()]).await.unwrap();
        assert_eq!(due.len(), count as usize);
        assert!(due.iter().all(|row| row[4] == text("second") && row[6] == Cell::Int(1)), "{:?}", due[0]);
        // Since when it is there stays.
        assert!(due.iter().any(|row| row[9] == Cell::Int(104)), "{:?}", due[0]);
        assert_eq!(
            session.query("work_due", &[[count, 4, 9, 0, 10_000].map(Cell::Int).to_vec()]).await.unwrap(),
            Vec::<Cells>::new()
        );
        let listed =
            session.query("work_list", &[vec![Cell::Int(count), Cell::Int(0), Cell::Bytes(vec![]), Cell::Int(2)]]).await.unwrap();
        assert_eq!(listed.len(), 2.min(count as usize));
        drop(session);
        let mut transaction = bench.store().begin(&bench.fence).await.unwrap();
        let keys: Vec<Cells> = work("", 0).into_iter().map(|row| row[..3].to_vec()).collect();
        // What is approved is due with what lost a side, marked, until it is written down again without a mark.
        let marked = |row: &Cells| [&row[..], &[Cell::Bytes(vec![0, 255])]].concat();
        let marks: Vec<Cells> = keys.iter().map(marked).collect();
        assert_eq!(transaction.execute("work_approve", &marks).await.unwrap(), count as u64);
        let lost = [[count, 5, 9, 1, 10_000].map(Cell::Int).to_vec()];
        let due = transaction.query("work_due", &lost).await.unwrap();
        assert_eq!(due.len(), count as usize);
        assert!(due.iter().all(|row| row[3] == Cell::Int(6) && row[10] == Cell::Bytes(vec![0, 255])), "{:?}", due[0]);
        transaction.execute("work_write", &work("third", 2)).await.unwrap();
        assert_eq!(transaction.query("work_due", &lost).await.unwrap(), Vec::<Cells>::new());
        assert_eq!(transaction.execute("work_delete", &keys).await.unwrap(), count as u64);
        transaction.commit().await.unwrap();
    }
}

/// Another engine's key may be longer than the map's columns: a part of it would be another record's.
pub async fn rule10_a_long_key_is_absorbed_whole_or_not_at_all(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    let long = |id: i64, at: usize, bytes: usize| {
        let mut cells = pair(id, 1);
        cells[at] = Cell::Bytes(vec![b'k'; bytes]);
        cells
    };
    for (id, at) in [(1, 2), (2, 3), (3, 4), (4, 5)] {
        for bytes in [3000, 3001, 100_000] {
            let cells = long(id, at, bytes);
            let mut transaction = bench.store().begin(&bench.fence).await.unwrap();
            match transaction.execute("pair_absorb", std::slice::from_ref(&cells)).await {
                Ok(recorded) => {
                    let found = transaction.query("pair_by_id", &[vec![Cell::Int(id)]]).await.unwrap();
                    assert_eq!((recorded, found), (1, vec![cells]), "{at}, {bytes}");
                }
                Err(error) => assert!(bytes > 3000 && error.kind() == Kind::Rejected, "{at}, {bytes}: {error}"),
            }
            transaction.rollback().await.unwrap();
        }
    }
}

/// A receipt of the suite's integration.
pub(super) fn receipt(n: i64) -> Cells {
    let mut cells = vec![text("suite"), Cell::Int(n)];
    let mut pair = pair(n, 1);
    pair[3] = Cell::Null;
    cells.extend(pair);
    cells.push(if n % 2 == 0 { Cell::Null } else { Cell::Int(1) });
    cells
}

pub async fn receipts_come_back_in_order(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    // In the transaction of a write to the endpoint: that is what they are for.
    let mut write = bench.begin().await;
    let all: Vec<Cells> = (1..=3000).map(receipt).collect();
    assert_eq!(write.session().execute("receipt_insert", &all).await.unwrap(), 3000);
    write.commit().await.unwrap();
    let mut session = bench.store().session().await.unwrap();
    let mut read = session.query("receipt_read", &[vec![text("suite"), Cell::Int(5), Cell::Int(10)]]).await.unwrap();
    read.sort();
    assert_eq!(read, all[5..15].iter().map(|row| row[1..].to_vec()).collect::<Vec<_>>());
    assert_eq!(
        session.query("receipt_read", &[vec![text("other"), Cell::Int(0), Cell::Int(10)]]).await.unwrap(),
        Vec::<Cells>::new()
    );
    drop(session);
    let mut transaction = bench.store().begin(&bench.fence).await.unwrap();
    let keys: Vec<Cells> = all.iter().map(|row| row[..2].to_vec()).collect();
    assert_eq!(transaction.execute("receipt_delete", &keys).await.unwrap(), 3000);
    transaction.commit().await.unwrap();
}

pub async fn every_lease_has_a_higher_epoch(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    let mut session = bench.store().session().await.unwrap();
    for epoch in 1..=3 {
        let rows =
            session.query("lease_take", &[vec![text("suite"), text("holder"), Cell::Int(60), Cell::Int(1)]]).await.unwrap();
        assert_eq!(int(&rows[0][0]).unwrap(), epoch);
    }
    assert_eq!(session.execute("lease_beat", &[[text("suite"), Cell::Int(2), Cell::Int(99)].to_vec()]).await.unwrap(), 0);
    assert_eq!(session.execute("lease_beat", &[[text("suite"), Cell::Int(3), Cell::Int(99)].to_vec()]).await.unwrap(), 1);
    let lease = session.query("lease_read", &[vec![text("suite")]]).await.unwrap();
    assert_eq!(lease, [vec![Cell::Int(3), text("holder"), Cell::Int(99)]]);
    for (lowest, epoch) in [(3, 4), (9, 9), (1, 10)] {
        let set = [vec![text("suite"), text("holder"), Cell::Int(60), Cell::Int(lowest)]];
        assert_eq!(session.query("lease_take", &set).await.unwrap(), [[Cell::Int(epoch)]]);
    }
}

/// Ids of pairs begin with the epoch, and stand in one table for all integrations whose state is here.
pub async fn no_two_integrations_have_the_same_epoch(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    let mut session = bench.store().session().await.unwrap();
    let mut last = 0;
    for integration in ["one", "two", "two", "one", "three"] {
        let epoch = twinrow::state::take_lease(&mut *session, integration, "holder", 60).await.unwrap();
        assert!(epoch > last, "{integration} got {epoch} after {last}");
        last = epoch;
    }
}

/// Two integrations that start at the same moment: neither may get the other's number.
pub async fn i2_two_links_that_are_new_at_once_get_two_numbers(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    let other = bench.beside("other").await;
    let link = |integration: &str, number: i64| vec![text(integration), text("l"), Cell::Int(number), text("[]")];
    let number = |rows: Vec<Cells>| int(&rows[0][0]).unwrap();
    let mut one = bench.store().begin(&bench.fence).await.unwrap();
    let first = number(one.query("link_next", &[vec![]]).await.unwrap());
    one.execute("link_write", &[link("suite", first)]).await.unwrap();
    let asked = tokio::sync::Notify::new();
    let second = async {
        loop {
            // Where the first one is in the way for long, the answer is to begin again.
            let Ok(mut two) = other.store().begin(&other.fence).await else { continue };
            asked.notify_one();
            let Ok(rows) = two.query("link_next", &[vec![]]).await else { continue };
            let second = number(rows);
            two.execute("link_write", &[link("other", second)]).await.unwrap();
            two.commit().await.unwrap();
            return second;
        }
    };
    let commit = async {
        if lab.dialect().concurrent_writers {
            asked.notified().await;
            // One round trip later the other one's question has arrived.
            bench.store().session().await.unwrap().query("link_read", &[vec![text("suite")]]).await.unwrap();
        }
        one.commit().await.unwrap();
    };
    let (second, ()) = tokio::join!(second, commit);
    assert_ne!(first, second);
    let mut session = bench.store().session().await.unwrap();
    for (integration, number) in [("suite", first), ("other", second)] {
        let links = session.query("link_read", &[vec![text(integration)]]).await.unwrap();
        assert_eq!(links, [vec![text("l"), Cell::Int(number), text("[]")]]);
    }
}
