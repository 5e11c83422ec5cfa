//! What Twinrow remembers: the identity map, cursors, unfinished work, conflicts, brakes.
//!
//! Everything here is a function of an open [`Session`](crate::sql::Session): where the state's database is also the one
//! written to, that session is the data's own transaction, and both commit together. Every writing
//! function belongs inside a transaction that took its fence (rule 4).

mod conflicts;
mod intents;
mod pairs;
mod progress;
mod stops;
mod work;

pub use conflicts::{
    ShownConflict, absorb_conflicts, conflict, conflict_count, conflicts, drop_conflicts, forget_undecided, hold_conflicts,
    keep_conflicts, links_with_undecided, pairs_with_pending, sweep_conflicts, write_conflicts,
};
pub use intents::{delete_intents, intents, move_intents, write_intents};
pub use pairs::{
    PairCounts, absorb_found, absorb_written, by_former, by_id, by_key, count, count_anew, detach, has_pairs, insert, is_taken,
    let_go, log_anew, made_again, missing_pairs, page, read_receipts, rebase, update, write_receipts,
};
pub use progress::{
    Cursors, Lease, Links, Run, beat, cursors, links, next_link_number, read_lease, runs, scan, scan_done, seen, setting,
    settings, take_lease, write_cursors, write_link, write_run, write_scan, write_seen, write_setting,
};
pub use stops::{Stop, is_stop, stops, write_stop};
pub use work::{
    Brake, BrakeKind, Left, approve, approve_work, brakes, clear_brake, count_recent, delete_work, due, hasten, left, list_work,
    read_work, recent, release, reset_recent, retry, touch, unfinished, work_counts, write_brake, write_work,
};

use crate::model::{KeyBytes, Side};
use crate::sql::{Cell, bytes};

fn side_cell(side: Side) -> Cell {
    Cell::Int(match side {
        Side::Source => 0,
        Side::Target => 1,
    })
}

fn side_of(number: i64) -> Side {
    if number == 0 { Side::Source } else { Side::Target }
}

fn key_cell(key: Option<&KeyBytes>) -> Cell {
    key.map_or(Cell::Null, |key| Cell::Bytes(key.as_bytes().to_vec()))
}

fn key_of(cell: &Cell) -> crate::error::Result<Option<KeyBytes>> {
    Ok(bytes(cell)?.map(KeyBytes::from))
}

fn text_cell(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}
