//! A long backlog is read in parts. Where each of them ends is found once: to sort what is left for every window would take the
//! square of its length.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::types::ToSql;

use super::log::{Range, parts_sql};
use super::position::Cursor;
use super::session::Conn;
use crate::endpoint::Unread;
use crate::error::Result;
use crate::model::Table;

/// So many parts are looked for at a time.
const PARTS_MAX: usize = 1_000;
/// The backlogs that are remembered: one a table that is behind.
const BACKLOGS_MAX: usize = 50;

/// Some of the unread entries, in log order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it ends.
    pub(super) lsn: i64,
    /// The first and the last of its transactions.
    pub(super) xids: [i64; 2],
    /// Whether an entry moves a key.
    moves: bool,
    /// Whether an entry is an insert.
    inserts: bool,
}

/// The parts of what one snapshot saw and another did not. Entries are only ever removed from it.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    parts: Arc<[Part]>,
    /// Whether there are no more.
    whole: bool,
}

impl Parts {
    /// Finds the parts of `size` entries in what `cursor` has not read; of a backlog that is read already, what its first window
    /// saw.
    pub(super) async fn find(conn: &mut Conn, table: &Table, cursor: &Cursor, size: i64) -> Result<Parts> {
        let range = Range::after(cursor);
        let most = i64::try_from(PARTS_MAX).unwrap_or(i64::MAX);
        let params: [&(dyn ToSql + Sync); 6] = [&range.from, &range.open, &range.mid, &range.lsn, &size, &most];
        let rows = conn.query(&parts_sql(table), &params).await?;
        let part = |row: &tokio_postgres::Row| Part {
            lsn: row.get(0),
            xids: [row.get(1), row.get(2)],
            moves: row.get(3),
            inserts: row.get(4),
        };
        Ok(Parts { parts: rows.iter().map(part).collect(), whole: rows.len() < PARTS_MAX })
    }

    /// The part that follows position `lsn`; `None` where it is the last one known: nobody knows what comes after it.
    pub(super) fn after(&self, lsn: i64) -> Option<&Part> {
        let (_, but_last) = self.parts.split_last()?;
        but_last.iter().find(|part| part.lsn > lsn)
    }

    /// Whether an entry of this kind follows position `lsn`; `None`: it is not known.
    pub(super) fn has(&self, which: Unread, lsn: i64) -> Option<bool> {
        let is = |part: &Part| match which {
            Unread::Moves => part.moves,
            Unread::Births => part.moves || part.inserts,
            Unread::Writes => true,
        };
        self.whole.then(|| self.parts.iter().any(|part| part.lsn > lsn && is(part)))
    }
}

/// The backlogs that are being read.
#[derive(Default)]
pub(super) struct Backlogs(HashMap<String, Parts>);

impl Backlogs {
    pub(super) fn get(&self, table: &Table, cursor: &Cursor) -> Option<Parts> {
        self.0.get(&name(table, cursor)?).cloned()
    }

    /// What was found of the backlog that `cursor` is in now.
    pub(super) fn insert(&mut self, table: &Table, cursor: &Cursor, parts: Parts) {
        let Some(name) = name(table, cursor) else { return };
        if self.0.len() >= BACKLOGS_MAX {
            self.0.clear();
        }
        self.0.insert(name, parts);
    }

    /// The backlog that `cursor` was in is read.
    pub(super) fn remove(&mut self, table: &Table, cursor: &Cursor) {
        if let Some(name) = name(table, cursor) {
            self.0.remove(&name);
        }
    }
}

/// A backlog: of one log, between two snapshots.
fn name(table: &Table, cursor: &Cursor) -> Option<String> {
    let mid = &cursor.partial.as_ref()?.mid;
    Some(format!("{} {} {} {mid}", table.name, cursor.epoch, cursor.old))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(whole: bool) -> Parts {
        let part = |lsn, moves, inserts| Part { lsn, xids: [1, 2], moves, inserts };
        Parts { parts: [part(10, true, true), part(20, false, true), part(30, false, false)].into(), whole }
    }

    #[test]
    fn the_last_part_is_read_as_far_as_it_goes() {
        let parts = parts(true);
        assert_eq!(parts.after(9).map(|part| part.lsn), Some(10));
        assert_eq!(parts.after(10).map(|part| part.lsn), Some(20));
        // A window that read several logs may have ended in between.
        assert_eq!(parts.after(15).map(|part| part.lsn), Some(20));
        assert_eq!(parts.after(20), None);
    }

    #[test]
    fn rule2_what_is_not_known_is_asked() {
        assert_eq!(parts(false).has(Unread::Moves, 30), None);
        assert_eq!(parts(true).has(Unread::Moves, 9), Some(true));
        assert_eq!(parts(true).has(Unread::Moves, 10), Some(false));
        assert_eq!(parts(true).has(Unread::Births, 15), Some(true));
        assert_eq!(parts(true).has(Unread::Births, 20), Some(false));
        assert_eq!(parts(true).has(Unread::Writes, 20), Some(true));
    }
}
