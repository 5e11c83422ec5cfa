//! Keeping logs short: the queue, where a log has several consumers, and a log itself, where it has one.

use std::collections::HashMap;

use mysql_async::Value as Wire;

use super::catalog::quoted;
use super::connection::{Connection, field_optional, field_text};
use super::log::{self, Log, Logged, Stand, What};
use super::replaced;
use crate::endpoint::Tracked;
use crate::endpoint::database::compaction::Compaction;
use crate::error::Result;
use crate::model::KeyBytes;

/// Entries looked at, and at most as many removed, in one transaction.
const SLICE: usize = 5_000;

/// The compaction of one table's log, and of what was drained of it.
#[derive(Default)]
pub(super) struct Compactions {
    log: Compaction,
    queue: Compaction,
    before: Before,
}

/// Updates that may go, by session, with the newer entry of each, until it is seen what their session did before them. Behind a delete
/// one stays: without it, an insert after it would stand right behind that delete, as in a REPLACE (A15).
type Before = HashMap<u64, (i64, i64)>;

/// The next slice of one log, inside a fenced transaction; whether there is more to do.
///
/// A log with several consumers is drained before it is read, and compacted in the queue. A log with one is compacted
/// under the drain row's lock, so that none is registered meanwhile (rule 14).
pub(super) async fn step(connection: &mut Connection, log: &Log, state: &mut Compactions) -> Result<bool> {
    let more = queue(connection, log, &mut state.queue).await?;
    log::lock_drain(connection).await?;
    let consumers = log::consumers(connection, &[log]).await?;
    if consumers.first().is_none_or(|(consumers, _)| *consumers != 1) {
        return Ok(more);
    }
    Ok(direct(connection, log, &mut state.log, &mut state.before).await? || more)
}

/// Numbers of the queue are given out after commit, so whoever is before an entry will also read the newer one.
async fn queue(connection: &mut Connection, log: &Log, compaction: &mut Compaction) -> Result<bool> {
    let name = log.collection.as_str();
    let end = one(connection, sql!("queue_end"), vec![name.into()]).await?;
    let Some(below) = compaction.below(0, end) else { return Ok(false) };
    let asked = vec![name.into(), below.into(), Wire::from(SLICE as u64)];
    let rows = connection.rows(sql!("queue_newest"), asked).await.map_err(log::missing)?;
    let (mut lowest, mut repeated) = (below, Vec::new());
    for row in &rows {
        let key = |at: usize| match row.as_ref(at) {
            Some(Wire::Bytes(bytes)) => KeyBytes::from(bytes.as_slice()).decode(),
            _ => None,
        };
        lowest = log::number(row, 0)?;
        let (what, origin) = (log::what(&field_text(row, 2)?, key(3), key(4)), field_optional(row, 5)?);
        // By both numbers: an entry that is older by either stays.
        if is_repeated(compaction, &what, origin.as_deref(), log::number(row, 1)?).is_some() {
            repeated.push(lowest);
        }
    }
    if !repeated.is_empty() {
        let json = serde_json::Value::from(repeated).to_string();
        connection.write(sql!("queue_remove"), vec![json.into()]).await?;
    }
    Ok(compaction.looked(lowest, rows.len() < SLICE))
}

async fn direct(connection: &mut Connection, log: &Log, compaction: &mut Compaction, before: &mut Before) -> Result<bool> {
    let named = quoted(&log.name);
    let end = one(connection, &sql!("log_end").replace("{log}", &named), Vec::new()).await?;
    let Some(below) = compaction.below(0, end) else { return Ok(false) };
    if below == i64::MAX {
        before.clear();
    }
    let rows: Vec<Logged> = log::newest(connection, log, below, SLICE).await?;
    let mut repeated = Vec::new();
    for logged in &rows {
        let session = replaced::session(logged.writer);
        let later = before.remove(&session).filter(|_| !matches!(logged.what, What::Delete(_)));
        repeated.extend(later);
        if let Some(newer) = is_repeated(compaction, &logged.what, logged.origin.as_deref(), logged.seq) {
            before.insert(session, (logged.seq, newer));
        }
    }
    let bottom = rows.len() < SLICE;
    if bottom {
        repeated.extend(before.drain().map(|(_, update)| update));
    }
    let repeated: Vec<[i64; 2]> = repeated.into_iter().map(|(seq, newer)| [seq, newer]).collect();
    if !repeated.is_empty() {
        let json = serde_json::json!(repeated).to_string();
        connection.write(&sql!("log_remove_repeated").replace("{log}", &named), vec![json.into()]).await?;
    }
    Ok(compaction.looked(rows.last().map_or(below, |last| last.seq), bottom))
}

/// The newer entry that repeats this one.
fn is_repeated(compaction: &mut Compaction, what: &What, origin: Option<&str>, seq: i64) -> Option<i64> {
    let mut note = |key: KeyBytes, update: bool| compaction.repeated(&key, origin, seq, update);
    match what {
        What::Update(old, new) if old.encode() == new.encode() => note(old.encode(), true),
        What::Update(old, new) => {
            note(old.encode(), false);
            note(new.encode(), false)
        }
        What::Insert(key) | What::Delete(key) | What::Replace(key) | What::PutBack(key) => note(key.encode(), false),
        What::Anything | What::Epoch => None,
    }
}

/// How many entries a consumer has not read, as far as `most`.
pub(super) async fn backlog(connection: &mut Connection, log: &Log, tracked: &Tracked, most: u64) -> Result<u64> {
    let Some(since) = &tracked.since else { return Ok(0) };
    let most = Wire::from(most.saturating_add(1));
    let in_log = sql!("log_count").replace("{log}", &quoted(&log.name));
    let in_log = one(connection, &in_log, vec![most.clone()]).await?;
    let asked = vec![log.collection.as_str().into(), Stand::parse(since)?.n.into(), most];
    let in_queue = one(connection, sql!("queue_count"), asked).await?;
    Ok(in_log.unsigned_abs() + in_queue.unsigned_abs())
}

async fn one(connection: &mut Connection, sql: &str, params: Vec<Wire>) -> Result<i64> {
    let rows = connection.rows(sql, params).await.map_err(log::missing)?;
    rows.first().map_or(Ok(0), |row| log::number(row, 0))
}
