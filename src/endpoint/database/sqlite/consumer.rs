//! Who reads a log, how far, and removing what everyone has read.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::session::fault;
use super::tracking::tracking_names;
use crate::error::{Error, Kind, Result};
use crate::model::TableName;

/// Moves a consumer on, and removes a first bite of what everyone has read. Whether there is more.
pub(super) fn acknowledge(connection: &Connection, integration: &str, table: &TableName, seq: i64) -> Result<bool> {
    let moved = connection.execute(sql!("consumer_move"), params![table.name, integration, seq]).map_err(fault)?;
    if moved == 0 {
        let message = format!("{integration} is not registered for the change log of {table}");
        return Err(Error::new(Kind::Tracking, message).hint("twinrow check"));
    }
    prune(connection, table)
}

/// Entries removed in one transaction: a few milliseconds.
const PRUNE_MAX: i64 = 2_000;

/// Removes a bite of what every consumer has read; whether there is more. A range is exact here: with
/// one writer at a time nothing is committed below what was read (A8).
pub(super) fn prune(connection: &Connection, table: &TableName) -> Result<bool> {
    let names = tracking_names(table);
    let least: Option<i64> =
        connection.query_row(sql!("consumer_least"), params![table.name], |row| row.get(0)).map_err(fault)?;
    let Some(least) = least else { return Ok(false) };
    let bite = format!(
        "delete from main.{log} where seq in (select seq from main.{log} where seq <= ?1 and seq > 1 order by seq limit ?2)",
        log = names.log
    );
    let removed = connection.prepare_cached(&bite).and_then(|mut s| s.execute(params![least, PRUNE_MAX])).map_err(fault)?;
    let more = i64::try_from(removed).is_ok_and(|removed| removed >= PRUNE_MAX);
    if removed > 0 {
        let first = format!("select min(seq) from main.{} where seq > 1", names.log);
        let first: Option<i64> = connection.query_row(&first, [], |row| row.get(0)).map_err(fault)?;
        let upto = first.map_or(least, |first| least.min(first - 1));
        connection.execute(sql!("collection_pruned"), params![table.name, upto]).map_err(fault)?;
    }
    Ok(more)
}

/// The last entry of a table's log that was removed.
pub(super) fn pruned(connection: &Connection, table: &TableName) -> Result<i64> {
    let mut statement = connection.prepare_cached(sql!("collection_read")).map_err(fault)?;
    Ok(statement.query_row(params![table.name], |row| row.get(0)).optional().map_err(fault)?.unwrap_or(0))
}
