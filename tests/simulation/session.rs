//! The named statements on Twinrow's own tables, over tables in memory. What each one means stands in
//! `sql/sqlite/<name>.sql`; the columns stand in `migrations/sqlite/`.

use std::collections::BTreeMap;
use std::sync::Arc;

use twinrow::error::{Error, Kind, Result};
use twinrow::model::KeyBytes;
use twinrow::sql::{Cell, Cells};

type Table = BTreeMap<Cells, Cells>;

/// Twinrow's own tables in one database, by their primary keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    pub fence: Table,
    pub receipt: Table,
    pub seen: Table,
    pub link: Table,
    pub cursor: Table,
    pub pair: Table,
    pub work: Table,
    pub conflict: Table,
    pub scan: Table,
    pub brake: Table,
    pub window: Table,
    pub lease: Table,
    pub edge: Table,
    pub setting: Table,
    pub run: Table,
}

/// Columns of `twinrow_pair`.
pub const S_KEY: usize = 2;
pub const T_KEY: usize = 3;
pub const S_FORMER: usize = 4;
pub const T_FORMER: usize = 5;
pub const STATUS: usize = 8;
pub const VER: usize = 9;
pub const CYCLE: usize = 10;
/// Columns of `twinrow_work`.
pub const REASON: usize = 3;
pub const NEXT_TRY: usize = 7;
pub const WORK_CYCLE: usize = 8;
const WAITS: usize = 5;
const APPROVED: usize = 10;

pub fn number(cell: &Cell) -> i64 {
    match cell {
        Cell::Int(number) => *number,
        Cell::Null | Cell::Text(_) | Cell::Bytes(_) => 0,
    }
}

/// Parameters in a trace: keys and numbers.
pub fn shown(p: &Cells) -> String {
    let cell = |cell: &Cell| match cell {
        Cell::Null => " -".to_owned(),
        Cell::Int(number) if *number > u32::MAX.into() => format!(" {}.{}", number >> 32, number & i64::from(u32::MAX)),
        Cell::Int(number) => format!(" {number}"),
        Cell::Text(text) => format!(" {text:?}"),
        Cell::Bytes(bytes) if bytes.len() > 8 => " …".to_owned(),
        Cell::Bytes(bytes) => KeyBytes::from(bytes.as_slice()).decode().map_or(" ?".to_owned(), |key| format!(" [{key}]")),
    };
    p.iter().map(cell).collect()
}

/// What a statement returned, and how many rows it touched.
#[derive(Default)]
pub struct Answer {
    pub rows: Vec<Cells>,
    pub affected: u64,
}

/// Runs a statement for each row of its set.
pub fn run(own: &mut Arc<Own>, name: &str, set: &[Cells]) -> Result<Answer> {
    let mut answer = Answer::default();
    for p in set {
        if let Some(rows) = read(own, name, p) {
            answer.rows.extend(rows);
            continue;
        }
        let own = Arc::make_mut(own);
        let (affected, rows) = match name.split('_').next() {
            Some("pair") => write_pair(own, name, p)?,
            Some("work") => (write_work(own, name, p), Vec::new()),
            Some("conflict") => (write_conflict(own, name, p), Vec::new()),
            Some("brake") => (write_brake(own, name, p), Vec::new()),
            _ => write_other(own, name, p),
        };
        answer.affected += affected;
        answer.rows.extend(rows);
    }
    Ok(answer)
}

fn select(table: &Table, keep: impl Fn(&Cells) -> bool) -> Vec<Cells> {
    table.values().filter(|row| keep(row)).cloned().collect()
}

fn first(mut rows: Vec<Cells>, limit: &Cell) -> Vec<Cells> {
    rows.truncate(usize::try_from(number(limit)).unwrap_or(usize::MAX));
    rows
}

fn columns(rows: Vec<Cells>, wanted: &[usize]) -> Vec<Cells> {
    rows.into_iter().map(|row| wanted.iter().map(|at| row[*at].clone()).collect()).collect()
}

fn read(own: &Own, name: &str, p: &Cells) -> Option<Vec<Cells>> {
    let live = |row: &Cells| number(&row[STATUS]) != 2;
    Some(match name {
        "fence_read" => columns(select(&own.fence, |row| row[0] == p[0]), &[1, 2, 3, 4]),
        "receipt_read" => {
            let found = select(&own.receipt, |row| row[0] == p[0] && row[1] > p[1]);
            first(found, &p[2]).into_iter().map(|row| row[1..].to_vec()).collect()
        }
        "edge_read" => select(&own.edge, |_| true),
        "lease_others" => {
            let others = own.lease.values().filter(|row| row[0] != p[0]);
            vec![vec![Cell::Int(others.map(|row| number(&row[1])).max().unwrap_or(0))]]
        }
        "lease_read" => columns(select(&own.lease, |row| row[0] == p[0]), &[1, 2, 3]),
        "seen_read" => columns(select(&own.seen, |row| row[0] == p[0]), &[1, 2, 3]),
        "link_read" => columns(select(&own.link, |row| row[0] == p[0]), &[1, 2, 3]),
        "link_next" => vec![vec![Cell::Int(own.link.values().map(|row| number(&row[2])).max().unwrap_or(0) + 1)]],
        "cursor_read" => columns(select(&own.cursor, |row| row[0] == p[0]), &[1, 2]),
        "pair_by_id" => select(&own.pair, |row| row[0] == p[0]),
        "pair_by_source" => select(&own.pair, |row| row[1] == p[0] && row[S_KEY] == p[1]),
        "pair_by_target" => select(&own.pair, |row| row[1] == p[0] && row[T_KEY] == p[1]),
        "pair_by_source_former" => select(&own.pair, |row| row[1] == p[0] && row[S_FORMER] == p[1] && live(row)),
        "pair_by_target_former" => select(&own.pair, |row| row[1] == p[0] && row[T_FORMER] == p[1] && live(row)),
        "pair_page" => first(select(&own.pair, |row| row[1] == p[0] && row[0] > p[1] && live(row)), &p[2]),
        "pair_total" => vec![vec![Cell::Int(select(&own.pair, |row| row[1] == p[0]).len() as i64)]],
        "pair_any" => first(select(&own.pair, |row| row[1] == p[0]), &Cell::Int(1)),
        "pair_count" => {
            let pairs = select(&own.pair, |row| row[1] == p[0] && live(row));
            let count = |keep: &dyn Fn(&Cells) -> bool| Cell::Int(pairs.iter().filter(|row| keep(row)).count() as i64);
            vec![vec![
                Cell::Int(pairs.len() as i64),
                count(&|row| row[S_KEY] == Cell::Null),
                count(&|row| row[T_KEY] == Cell::Null),
                count(&|row| number(&row[11]) > 0),
                count(&|row| number(&row[STATUS]) == 1),
                count(&|row| row[S_KEY] == Cell::Null && row[T_KEY] == Cell::Null),
            ]]
        }
        "work_due" => {
            let due = |row: &Cells| row[0] == p[0] && row[NEXT_TRY] <= p[1] && row[WORK_CYCLE] != p[2];
            let mut rows = select(&own.work, |row| due(row) && [4, 6].contains(&number(&row[REASON])) == (number(&p[3]) == 1));
            rows.sort_by_key(|row| (row[NEXT_TRY].clone(), row[1].clone(), row[2].clone()));
            first(rows, &p[4])
        }
        "work_list" => first(select(&own.work, |row| row[0] == p[0] && row[..3] > p[..3]), &p[3]),
        "work_read" => select(&own.work, |row| row[..3] == p[..3]),
        "work_count" => {
            let mut counts: BTreeMap<(Cell, Cell), i64> = BTreeMap::new();
            for row in own.work.values().filter(|row| row[0] == p[0]) {
                *counts.entry((row[REASON].clone(), row[1].clone())).or_default() += 1;
            }
            counts.into_iter().map(|((reason, side), count)| vec![reason, side, Cell::Int(count)]).collect()
        }
        "conflict_links" => columns(select(&own.conflict, |row| row[1] == p[0] && row[9] == Cell::Int(2)), &[2]),
        "conflict_list" => {
            let mut rows = select(&own.conflict, |row| row[1] == p[0]);
            rows.sort_by_key(|row| (-number(&row[10]), row[0].clone()));
            first(rows, &p[1])
        }
        "setting_read" => columns(select(&own.setting, |row| row[0] == p[0]), &[1, 2]),
        "scan_read" => select(&own.scan, |row| row[0] == p[0]),
        "brake_read" => select(&own.brake, |row| row[0] == p[0]),
        "brake_window" => {
            let mut sums: BTreeMap<(Cell, Cell), i64> = BTreeMap::new();
            for row in own.window.values().filter(|row| row[0] == p[0] && row[3] >= p[1]) {
                *sums.entry((row[1].clone(), row[2].clone())).or_default() += number(&row[4]);
            }
            sums.into_iter().map(|((side, kind), sum)| vec![side, kind, Cell::Int(sum)]).collect()
        }
        _ => return None,
    })
}

/// The unique keys of the map, checked row by row as an engine does.
fn is_free(own: &Own, row: &Cells) -> bool {
    let holds = |other: &Cells, at: usize| row[at] != Cell::Null && other[at] == row[at];
    !own.pair.values().any(|other| other[0] != row[0] && other[1] == row[1] && (holds(other, S_KEY) || holds(other, T_KEY)))
}

fn write_pair(own: &mut Own, name: &str, p: &Cells) -> Result<(u64, Vec<Cells>)> {
    let id = vec![p[0].clone()];
    match name {
        "pair_insert" if own.pair.contains_key(&id) || !is_free(own, p) => {
            Err(Error::new(Kind::Duplicate, "twinrow_pair_link_key"))
        }
        "pair_insert" | "pair_absorb" => {
            if own.pair.contains_key(&id) || !is_free(own, p) {
                return Ok((0, Vec::new()));
            }
            own.pair.insert(id, p.clone());
            Ok((1, Vec::new()))
        }
        "pair_let_go" => {
            let Some(row) = own.pair.get_mut(&id).filter(|row| number(&row[VER]) == number(&p[1]) - 1) else {
                return Ok((0, Vec::new()));
            };
            (row[S_KEY], row[T_KEY]) = (Cell::Null, Cell::Null);
            Ok((1, Vec::new()))
        }
        "pair_log_anew" => {
            let pos = if p[1] == Cell::Int(0) { 6 } else { 7 };
            let of_it = own.pair.values_mut().filter(|row| row[1] == p[0]);
            Ok((of_it.map(|row| row[pos] = Cell::Int(0)).count() as u64, Vec::new()))
        }
        "pair_update" => {
            if own.pair.get(&id).is_none_or(|row| number(&row[VER]) != number(&p[VER]) - 1) {
                return Ok((0, Vec::new()));
            }
            if !is_free(own, p) {
                return Err(Error::new(Kind::Duplicate, "twinrow_pair_link_key"));
            }
            own.pair.insert(id, p.clone());
            Ok((1, Vec::new()))
        }
        "pair_rebase" => {
            let Some(row) = own.pair.get_mut(&id).filter(|row| number(&row[VER]) == number(&p[3]) - 1) else {
                return Ok((0, Vec::new()));
            };
            for (at, cell) in [6, 7, VER, CYCLE, 11, 12].into_iter().zip(&p[1..]) {
                row[at] = cell.clone();
            }
            Ok((1, Vec::new()))
        }
        "pair_detach_source" | "pair_detach_target" => {
            let (key, former) = if name == "pair_detach_source" { (S_KEY, S_FORMER) } else { (T_KEY, T_FORMER) };
            let mut lost = Vec::new();
            for row in own.pair.values_mut().filter(|row| row[1] == p[0] && row[key] == p[1] && row[0] != p[2]) {
                row[former] = std::mem::replace(&mut row[key], Cell::Null);
                row[VER] = Cell::Int(number(&row[VER]) + 1);
                row[CYCLE] = p[3].clone();
                lost.push(row.clone());
            }
            Ok((lost.len() as u64, lost))
        }
        _ => panic!("no statement {name}"),
    }
}

fn write_work(own: &mut Own, name: &str, p: &Cells) -> u64 {
    let mut touched = 0;
    let mut each = |keep: &dyn Fn(&Cells) -> bool, cycle: bool| {
        for row in own.work.values_mut().filter(|row| keep(row)) {
            row[NEXT_TRY] = Cell::Int(0);
            if cycle {
                row[WORK_CYCLE] = Cell::Int(0);
            }
            touched += 1;
        }
    };
    match name {
        "work_write" => {
            let key = p[..3].to_vec();
            let mut row = p.clone();
            if let Some(before) = own.work.get(&key) {
                row[9] = before[9].clone();
            }
            own.work.insert(key, row);
            return 1;
        }
        "work_approve" => {
            let Some(row) = own.work.get_mut(&p[..3]) else { return 0 };
            (row[REASON], row[NEXT_TRY], row[APPROVED]) = (Cell::Int(6), Cell::Int(0), p[3].clone());
            return 1;
        }
        "work_delete" => return u64::from(own.work.remove(&p[..3]).is_some()),
        "work_hasten" => {
            let ahead = |row: &Cells| number(&row[NEXT_TRY]) > number(&p[2]) && row[NEXT_TRY] != Cell::Int(i64::MAX);
            for row in own.work.values_mut().filter(|row| row[0] == p[0] && ahead(row)) {
                row[NEXT_TRY] = p[1].clone();
            }
        }
        "work_release" => each(&|row| row[WAITS] == p[0], true),
        "work_retry" => each(&|row| row[0] == p[0] && row[REASON] == p[1], false),
        "work_touch" => each(&|row| row[..3] == p[..3], false),
        _ => panic!("no statement {name}"),
    }
    touched
}

fn write_conflict(own: &mut Own, name: &str, p: &Cells) -> u64 {
    let id = vec![p[0].clone()];
    match name {
        "conflict_write" => {
            let new = !own.conflict.contains_key(&id);
            own.conflict.entry(id).or_insert_with(|| p.clone());
            u64::from(new)
        }
        "conflict_hold" => {
            own.conflict.insert(id, p.clone());
            1
        }
        "conflict_decided" => {
            let waiting = own.conflict.get(&id).is_some_and(|row| row[9] == Cell::Int(2));
            if waiting {
                own.conflict.remove(&id);
            }
            u64::from(waiting)
        }
        "conflict_keep" => own.conflict.get_mut(&id).map_or(0, |row| {
            row[9] = Cell::Int(1);
            1
        }),
        "conflict_drop" => {
            let pending = own.conflict.get(&id).is_some_and(|row| row[9] == Cell::Int(0));
            if pending {
                own.conflict.remove(&id);
            }
            u64::from(pending)
        }
        "conflict_absorb" => {
            let pending = |row: &&mut Cells| row[3] == p[0] && row[9] == Cell::Int(0);
            let mut kept = 0;
            for row in own.conflict.values_mut().filter(pending) {
                row[9] = Cell::Int(1);
                kept += 1;
            }
            kept
        }
        "conflict_sweep" => {
            let before = own.conflict.len();
            own.conflict.retain(|_, row| row[2] != p[0] || row[9] != Cell::Int(0));
            (before - own.conflict.len()) as u64
        }
        _ => panic!("no statement {name}"),
    }
}

fn write_brake(own: &mut Own, name: &str, p: &Cells) -> u64 {
    match name {
        "brake_write" => {
            let mut row = p.clone();
            if own.brake.contains_key(&p[..3]) {
                row[7] = Cell::Null;
            }
            own.brake.insert(p[..3].to_vec(), row);
            1
        }
        "brake_approve" => own.brake.get_mut(&p[..3]).map_or(0, |row| {
            row[7] = p[3].clone();
            1
        }),
        "brake_delete" => u64::from(own.brake.remove(&p[..3]).is_some()),
        "brake_count" => {
            let row = own.window.entry(p[..4].to_vec()).or_insert_with(|| {
                let mut row = p.clone();
                row[4] = Cell::Int(0);
                row
            });
            row[4] = Cell::Int(number(&row[4]) + number(&p[4]));
            1
        }
        "brake_reset" => {
            let before = own.window.len();
            own.window.retain(|key, _| key[..3] != p[..3]);
            (before - own.window.len()) as u64
        }
        _ => panic!("no statement {name}"),
    }
}

fn write_other(own: &mut Own, name: &str, p: &Cells) -> (u64, Vec<Cells>) {
    let fence = |own: &mut Own, keep: &dyn Fn(&Cells) -> bool, set: &dyn Fn(&mut Cells)| {
        own.fence.get_mut(&p[..1]).filter(|row| keep(row)).map_or(0, |row| {
            set(row);
            1
        })
    };
    let affected = match name {
        "edge_write" => {
            own.edge.entry(p[..2].to_vec()).or_insert_with(|| p.clone());
            1
        }
        "edge_delete" => {
            own.edge.retain(|key, _| key[0] != p[0]);
            1
        }
        "fence_insert" => {
            let new = !own.fence.contains_key(&p[..1]);
            let zero = Cell::Int(0);
            own.fence
                .entry(p[..1].to_vec())
                .or_insert_with(|| vec![p[0].clone(), zero.clone(), zero.clone(), p[1].clone(), zero]);
            u64::from(new)
        }
        "fence_check" => fence(own, &|row| row[1] == p[1], &|row| row[2] = Cell::Int(number(&row[2]) + 1)),
        "fence_take" => fence(own, &|row| row[1] < p[1], &|row| {
            row[1] = p[1].clone();
            row[2] = Cell::Int(number(&row[2]) + 1);
        }),
        "fence_home" => fence(own, &|row| row[1] == p[1], &|row| row[4] = p[2].clone()),
        "lease_take" => {
            let epoch = own.lease.get(&p[..1]).map_or(0, |row| number(&row[1]) + 1).max(number(&p[3]));
            own.lease.insert(p[..1].to_vec(), vec![p[0].clone(), Cell::Int(epoch), p[1].clone(), p[2].clone()]);
            return (1, vec![vec![Cell::Int(epoch)]]);
        }
        "lease_beat" => own.lease.get_mut(&p[..1]).filter(|row| row[1] == p[1]).map_or(0, |row| {
            row[3] = p[2].clone();
            1
        }),
        "setting_add" => {
            let before = own.setting.get(&p[..2]).map_or(0, |row| match &row[2] {
                Cell::Text(value) => value.parse().expect("a number"),
                _ => 0,
            });
            let sum = Cell::Text((before + number(&p[2])).to_string());
            own.setting.insert(p[..2].to_vec(), vec![p[0].clone(), p[1].clone(), sum]);
            1
        }
        "setting_write" => {
            own.setting.insert(p[..2].to_vec(), p.clone());
            1
        }
        "run_write" => {
            own.run.insert(p[..2].to_vec(), p.clone());
            1
        }
        "receipt_insert" => u64::from(own.receipt.insert(p[..2].to_vec(), p.clone()).is_none()),
        "receipt_delete" => u64::from(own.receipt.remove(&p[..2]).is_some()),
        "seen_write" => {
            own.seen.insert(p[..2].to_vec(), p.clone());
            1
        }
        "link_write" => {
            own.link.insert(vec![p[2].clone()], p.clone());
            1
        }
        "cursor_write" => {
            own.cursor.insert(p[..2].to_vec(), p.clone());
            1
        }
        "scan_write" => {
            own.scan.insert(p[..1].to_vec(), p.clone());
            1
        }
        "scan_delete" => u64::from(own.scan.remove(&p[..1]).is_some()),
        _ => panic!("no statement {name}"),
    };
    (affected, Vec::new())
}
