//! Keeping a log short, in slices: a short read, then a short write of what it found.

use rusqlite::{Connection, params};

use super::consumer;
use super::log::{self, Log, Raw};
use super::session::fault;
use crate::endpoint::Tracked;
use crate::endpoint::database::compaction::Compaction;
use crate::error::Result;
use crate::model::Table;

/// Entries looked at in one transaction, and removed in another: a few milliseconds each (A71).
const SLICE: usize = 2_000;

/// What a look at a slice found.
pub(super) struct Found {
    pub(super) compaction: Compaction,
    /// The numbers of entries that may go.
    pub(super) repeated: Vec<i64>,
    pub(super) more: bool,
}

/// Looks at the next slice of this table's log. Nothing is changed.
pub(super) fn look(connection: &Connection, table: &Table, mut compaction: Compaction) -> Result<Found> {
    let log = Log::of(connection, &table.name)?;
    let Some(below) = compaction.below(consumer::pruned(connection, &table.name)?, log.end) else {
        return Ok(Found { compaction, repeated: Vec::new(), more: false });
    };
    let rows = log::newest(connection, table, &log, below, SLICE)?;
    let bottom = rows.len() < SLICE;
    // What stands before the last ones is in the next slice.
    let known = if bottom { rows.len() } else { rows.len() - 2 };
    let mut repeated = Vec::new();
    let mut at = 0;
    while at < known {
        let (entry, before) = (&rows[at], rows.get(at + 1));
        let probed = before.filter(|before| before.op == b'X' && before.old == entry.old && entry.plain());
        let before = if probed.is_some() { rows.get(at + 2) } else { before };
        let may_go = entry.plain() && before.is_none_or(|before| matches!(before.op, b'I' | b'U'));
        for key in entry.old.iter().chain(entry.new.iter().filter(|new| entry.old.as_ref() != Some(new))) {
            if compaction.repeated(&key.encode(), entry.origin.as_deref(), entry.seq, may_go).is_some() {
                repeated.push(entry.seq);
                repeated.extend(probed.map(|probe| probe.seq));
            }
        }
        at += 1 + usize::from(probed.is_some());
    }
    let below = rows.get(at).map_or(below, |next| next.seq + 1);
    let more = compaction.looked(below, bottom);
    Ok(Found { compaction, repeated, more })
}

/// Removes exactly these entries.
pub(super) fn remove(connection: &Connection, table: &Table, seqs: &[i64]) -> Result<()> {
    let log = super::tracking_names(&table.name).log;
    let mut statement = connection.prepare_cached(&format!("delete from main.{log} where seq = ?1")).map_err(fault)?;
    for seq in seqs {
        statement.execute(params![seq]).map_err(fault)?;
    }
    Ok(())
}

/// How many entries of a log come after `since`, counted a slice at a time: where to go on, and whether to.
pub(super) fn count(connection: &Connection, tracked: &Tracked, from: Option<i64>) -> Result<(i64, i64, bool)> {
    let table = &tracked.collection.table.name;
    let log = Log::of(connection, table)?;
    let from = match (from, &tracked.since) {
        (Some(from), _) => from,
        (None, Some(position)) => log.place(table, position)?,
        (None, None) => log.end,
    };
    let sql = format!(
        "select max(seq), count(*) from (select seq from main.{} where seq > ?1 and op <> 'E' order by seq limit {})",
        log.names.log,
        10 * SLICE
    );
    let counted = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, i64>(1)?));
    let (last, count) = connection.query_row(&sql, params![from], counted).map_err(fault)?;
    Ok((last.unwrap_or(from), count, count >= 10 * SLICE as i64))
}

impl Raw {
    /// An update that keeps its key.
    fn plain(&self) -> bool {
        self.op == b'U' && self.old == self.new
    }
}
