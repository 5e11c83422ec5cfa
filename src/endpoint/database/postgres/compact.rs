//! Keeping a log short though somebody does not read it: done by the server, a part of the keys at a time.

use std::collections::HashMap;

use tokio_postgres::types::ToSql;

use super::log::{self, Range};
use super::position::Cursor;
use super::session::Conn;
use crate::endpoint::Tracked;
use crate::endpoint::database::compaction::WORTHWHILE;
use crate::error::Result;
use crate::model::{Table, TableName};

/// So many entries are sorted at a time.
const PART: i64 = 100_000;
/// At most this many are removed in one transaction.
const REMOVE_MAX: i64 = 20_000;

/// What is known of each log's compaction.
pub(super) type Compactions = HashMap<TableName, Compaction>;

/// The compaction of one log, over many calls.
#[derive(Clone, Copy, Default)]
pub(super) struct Compaction {
    /// How many entries the log had after the last one.
    kept: i64,
    part: i64,
    /// 0: none is under way.
    parts: i64,
}

/// One part of one log, inside a fenced transaction, and whether there is more to do. A log that has not grown by
/// half since the last time is left alone: the work stays in proportion to what came new.
pub(super) async fn step(conn: &mut Conn, table: &Table, mut state: Compaction) -> Result<(Compaction, bool)> {
    let fill = |sql: &str| {
        let key: Vec<String> = (1..=table.key.len()).map(|i| format!("l.o{i}")).collect();
        sql.replace("{log}", &log::log_name(&table.name)).replace("{key}", &key.join(", "))
    };
    let count = fill(include_str!("../../../../sql/postgres/log_count.sql"));
    if state.parts == 0 {
        let worthwhile = state.kept + WORTHWHILE.max(state.kept / 2);
        if number(conn, &count, &[&worthwhile]).await? < worthwhile {
            return Ok((state, false));
        }
        state = Compaction { kept: 0, part: 0, parts: 1 + number(conn, &count, &[&i64::MAX]).await? / PART };
    }
    let sql = fill(include_str!("../../../../sql/postgres/log_compact.sql"));
    if number(conn, &sql, &[&state.part, &state.parts, &REMOVE_MAX]).await? < REMOVE_MAX {
        state.part += 1;
    }
    if state.part == state.parts {
        state = Compaction { kept: number(conn, &count, &[&i64::MAX]).await?, part: 0, parts: 0 };
    }
    Ok((state, state.parts > 0))
}

/// How many entries a consumer has not read, as far as `most`.
pub(super) async fn backlog(conn: &mut Conn, tracked: &Tracked, most: u64) -> Result<u64> {
    let Some(since) = &tracked.since else { return Ok(0) };
    let range = Range::after(&Cursor::parse(since)?);
    let most = i64::try_from(most).unwrap_or(i64::MAX - 1) + 1;
    let sql = log::backlog_sql(&tracked.collection.table);
    let count = number(conn, &sql, &[&range.from, &range.open, &range.mid, &range.lsn, &most]).await?;
    Ok(count.unsigned_abs())
}

async fn number(conn: &mut Conn, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<i64> {
    Ok(conn.query(sql, params).await?.first().map_or(0, |row| row.get(0)))
}
