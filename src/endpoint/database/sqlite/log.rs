//! The change log of one table: where a reader stands in it, and what its entries mean.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::session::fault;
use super::tracking::{Names, tracking_names};
use super::{rows, value};
use crate::endpoint::database::all;
use crate::endpoint::{Fetched, Room, Tracked, Unread};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Entry, Key, KeyBytes, Op, Pos, Position, Table, TableName, Value};

/// A log as it is now.
pub(super) struct Log {
    pub(super) names: Names,
    /// Made with the log: a log that was made again has another (A11).
    pub(super) epoch: String,
    /// The greatest number it ever gave.
    pub(super) end: i64,
}

impl Log {
    /// The log of this table.
    pub(super) fn of(connection: &Connection, table: &TableName) -> Result<Log> {
        let names = tracking_names(table);
        let untracked = |why: &str| {
            let message = format!("the change log of {table} {why}: changes may have been missed");
            Error::new(Kind::Tracking, message).hint("twinrow check")
        };
        if !exists(connection, &names.log)? {
            return Err(untracked("is gone"));
        }
        // The first row of every log is its epoch. It goes when somebody empties the log.
        let first = format!("select origin from main.{} where seq = 1 and op = 'E'", names.log);
        let epoch: Option<String> = connection.query_row(&first, [], |row| row.get(0)).optional().map_err(fault)?;
        let epoch = epoch.ok_or_else(|| untracked("was emptied or made again"))?;
        Ok(Log { end: end(connection, &names.log)?, epoch, names })
    }

    pub(super) fn position(&self, seq: i64) -> Position {
        Position(format!("{}:{seq}", self.epoch))
    }

    /// The number in a position that was taken on this log.
    pub(super) fn place(&self, table: &TableName, position: &Position) -> Result<i64> {
        let seq = position.0.split_once(':').filter(|(epoch, _)| *epoch == self.epoch).and_then(|(_, seq)| seq.parse().ok());
        seq.filter(|seq| *seq <= self.end).ok_or_else(|| {
            let message = format!("the change log of {table} is not the one that was read before");
            Error::new(Kind::Tracking, message).hint("twinrow check")
        })
    }
}

/// Asked of the file: what the connection remembers of its tables may be older than another connection's last change.
pub(super) fn exists(connection: &Connection, table: &str) -> Result<bool> {
    let sql = "select exists (select 1 from main.sqlite_schema where type = 'table' and name = ?1)";
    connection.query_row(sql, params![table], |row| row.get(0)).map_err(fault)
}

/// The greatest number a log ever gave; 0 where there is no such log.
pub(super) fn end(connection: &Connection, log: &str) -> Result<i64> {
    if !exists(connection, "sqlite_sequence")? {
        return Ok(0);
    }
    let sql = "select seq from main.sqlite_sequence where name = ?1";
    Ok(connection.query_row(sql, params![log], |row| row.get(0)).optional().map_err(fault)?.unwrap_or(0))
}

/// What was read of a log.
pub(super) struct Read {
    pub(super) entries: Vec<Entry>,
    /// The last number read.
    pub(super) upto: i64,
    pub(super) more: bool,
}

/// A row of a log as it stands there.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) seq: i64,
    pub(super) op: u8,
    /// The integration that wrote it; `None`: somebody else.
    pub(super) origin: Option<String>,
    own: bool,
    pub(super) old: Option<Key>,
    pub(super) new: Option<Key>,
    /// Of a probe: the key of the row that was about to take the place. A new row whose key the engine gives has not got it
    /// yet, and an update's is the one it had. `None`: an older program's trigger did not say.
    by: Option<Key>,
}

/// Reads at most `limit` entries of `tracked`, the collection number `index`, after `since`.
/// `writer`: whose entries are our own.
pub(super) fn read(
    connection: &Connection,
    index: usize,
    tracked: &Tracked,
    (log, since): (&Log, i64),
    limit: usize,
    writer: Option<&str>,
) -> Result<Read> {
    let table = &tracked.collection.table;
    let sql = format!(
        "select seq, op, origin, {} from main.{} where seq > ?1 and op <> 'E' order by seq limit ?2",
        log.names.parts(table.key.len()),
        log.names.log
    );
    let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
    let mut rows = statement.query(params![since, i64::try_from(limit).unwrap_or(i64::MAX)]).map_err(fault)?;
    let mut raw = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        raw.push(raw_of(table, row, writer)?);
    }
    let mut upto = log.end;
    let mut more = false;
    if raw.len() >= limit {
        raw.truncate(whole_statements(&raw));
        upto = raw.last().map_or(since, |last| last.seq);
        more = upto < log.end;
    }
    let mut events = interpret(&raw);
    hidden_deletes(connection, &tracked.collection, log, upto, &mut events)?;
    let entry = |event: Event| Entry {
        collection: index,
        op: event.op,
        key: event.key,
        pos: Pos(event.seq),
        transaction: None,
        own: event.own,
    };
    Ok(Read { entries: events.into_iter().map(entry).collect(), upto, more })
}

/// The newest entries below a number, newest first.
pub(super) fn newest(connection: &Connection, table: &Table, log: &Log, below: i64, limit: usize) -> Result<Vec<Raw>> {
    let sql = format!(
        "select seq, op, origin, {} from main.{} where seq < ?1 and op <> 'E' order by seq desc limit ?2",
        log.names.parts(table.key.len()),
        log.names.log
    );
    let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
    let mut rows = statement.query(params![below, i64::try_from(limit).unwrap_or(i64::MAX)]).map_err(fault)?;
    let mut raw = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        raw.push(raw_of(table, row, None)?);
    }
    Ok(raw)
}

fn raw_of(table: &Table, row: &Row<'_>, writer: Option<&str>) -> Result<Raw> {
    let op: String = row.get(1).map_err(fault)?;
    let origin: Option<String> = row.get(2).map_err(fault)?;
    let op = op.bytes().next().unwrap_or(b'?');
    let key = |first: usize| {
        let parts = table
            .key_columns()
            .enumerate()
            .map(|(n, column)| Ok(value::read_key(&column.kind, row.get_ref(first + n).map_err(fault)?)));
        all(table.key.len(), parts).map(Key)
    };
    let old = if matches!(op, b'I' | b'T') { None } else { Some(key(3)?) };
    let second = if matches!(op, b'I' | b'U' | b'X') { Some(key(3 + table.key.len())?) } else { None };
    let said = |key: &Key| key.0.iter().any(|part| *part != Value::Null);
    let (new, by) = if op == b'X' { (None, second.filter(said)) } else { (second, None) };
    let own = origin.is_some() && origin.as_deref() == writer;
    Ok(Raw { seq: row.get(0).map_err(fault)?, op, origin, own, old, new, by })
}

/// Where to cut a batch so that the probes of a REPLACE stay with what it did: before the probes and
/// deletes at the end, unless there is nothing else.
fn whole_statements(raw: &[Raw]) -> usize {
    let deletes = raw.iter().rev().take_while(|raw| raw.op == b'D').count();
    let probes = raw[..raw.len() - deletes].iter().rev().take_while(|raw| raw.op == b'X').count();
    let head = raw.len() - deletes - probes;
    if probes == 0 || head == 0 { raw.len() } else { head }
}

#[derive(Debug, PartialEq)]
struct Event {
    seq: i64,
    op: Op,
    key: Key,
    own: bool,
    /// A probe, with nothing after it that says what became of the row.
    probe: bool,
}

/// The last probe of a key.
struct Probe {
    at: usize,
    /// Its delete, where that follows in the same statement.
    deleted: Option<usize>,
    /// The key of the row that was about to take the place, if it is known.
    by: Option<KeyBytes>,
}

/// What the rows of a log mean.
///
/// A probe `X k` says: a row stood under `k`, and the statement was about to take its place. SQLite
/// does not say whether it did (A15), but what follows may: if a row comes to stand under `k` with
/// no delete logged between, the former one was replaced, by the row the probe speaks of. If that has another
/// key, the one that comes to stand under `k` is another record (C4).
fn interpret(raw: &[Raw]) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::with_capacity(raw.len());
    let mut probes: HashMap<KeyBytes, Probe> = HashMap::new();
    let mut dropped: HashSet<usize> = HashSet::new();
    // Where the probes and deletes began that may belong to one statement.
    let mut statement = 0;
    let all = Key(Vec::new());
    for entry in raw {
        let at = events.len();
        let (key, op) = match (entry.op, &entry.old, &entry.new) {
            (b'X', Some(old), _) => {
                probes.insert(old.encode(), Probe { at, deleted: None, by: entry.by.as_ref().map(Key::encode) });
                (old, Op::Update)
            }
            (b'D', Some(old), _) => {
                // REPLACE with recursive_triggers logs its deletes behind its probes.
                match probes.get_mut(&old.encode()) {
                    Some(probe) if probe.at >= statement => probe.deleted = Some(at),
                    _ => {
                        probes.remove(&old.encode());
                    }
                }
                (old, Op::Delete)
            }
            (b'I', _, Some(new)) => {
                let (key, probe) = (new.encode(), probes.remove(&new.encode()));
                let replaced = |probe: &Probe| probe.by.as_ref().is_none_or(|by| *by == key);
                match probe {
                    Some(probe @ Probe { deleted: None, .. }) if replaced(&probe) => (new, Op::Replace),
                    Some(probe @ Probe { deleted: Some(deleted), .. }) if deleted >= statement && replaced(&probe) => {
                        dropped.insert(deleted);
                        (new, Op::Replace)
                    }
                    Some(Probe { at, deleted: None, .. }) => {
                        events[at].op = Op::Delete;
                        (new, Op::Insert)
                    }
                    _ => (new, Op::Insert),
                }
            }
            (b'U', Some(old), Some(new)) if old == new => (old, Op::Update),
            (b'U', Some(old), Some(new)) => {
                probes.remove(&old.encode());
                if let Some(Probe { at, deleted: None, .. }) = probes.remove(&new.encode()) {
                    events[at].op = Op::Delete;
                }
                (old, Op::Rename { to: new.clone() })
            }
            // A mark: triggers were repaired, and changes may have been missed.
            (b'T', ..) => (&all, Op::Truncate),
            // Nothing our triggers write; whatever it is, the key is worth a look.
            (_, Some(old), _) => (old, Op::Update),
            _ => continue,
        };
        if !matches!(entry.op, b'X' | b'D') {
            statement = at + 1;
        }
        events.push(Event { seq: entry.seq, key: key.clone(), op, own: entry.own, probe: false });
    }
    for probe in probes.into_values().filter(|probe| probe.deleted.is_none()) {
        events[probe.at].probe = true;
    }
    let mut at = 0;
    events.retain(|_| {
        at += 1;
        !dropped.contains(&(at - 1))
    });
    events
}

/// Turns probes into deletes where the row is gone and no entry says how: only a REPLACE does that.
/// The probe is the evidence that there was a row, and this very transaction that there is none.
fn hidden_deletes(connection: &Connection, collection: &Collection, log: &Log, upto: i64, events: &mut [Event]) -> Result<()> {
    let probes: Vec<usize> = (0..events.len()).filter(|i| events[*i].probe).collect();
    if probes.is_empty() {
        return Ok(());
    }
    let keys: Vec<Key> = probes.iter().map(|i| events[*i].key.clone()).collect();
    let bare = Collection { table: collection.table.clone(), columns: Vec::new() };
    let fetched = rows::fetch(connection, &bare, &keys, Room::endless())?;
    let gone: Vec<(usize, Key)> = probes
        .into_iter()
        .zip(keys)
        .zip(fetched)
        .filter(|(_, fetched)| *fetched == Fetched::Absent)
        .map(|((i, key), _)| (i, key))
        .collect();
    let keys: Vec<Key> = gone.iter().map(|(_, key)| key.clone()).collect();
    let told = structural(connection, &collection.table, log, upto, &rows::set(&keys), Unread::Moves, None)?;
    for (i, key) in gone {
        if !told.contains(&key.encode()) {
            events[i].op = Op::Delete;
        }
    }
    Ok(())
}

/// What of a log is our own: what this integration has written, and what was added since its write transaction began.
#[derive(Clone, Copy)]
pub(super) struct Ours<'a> {
    pub(super) writer: &'a str,
    pub(super) before: i64,
}

/// Those of `keys` that an entry of this kind after `upto` names; one that may replace is a move. The entries are read
/// one by one: memory is bounded by `keys`, not by the log.
pub(super) fn structural(
    connection: &Connection,
    table: &Table,
    log: &Log,
    upto: i64,
    keys: &HashSet<KeyBytes>,
    which: Unread,
    ours: Option<Ours<'_>>,
) -> Result<HashSet<KeyBytes>> {
    if keys.is_empty() || upto >= log.end {
        return Ok(HashSet::new());
    }
    let renamed = (1..=table.key.len()).map(|n| format!("o{n} is not n{n}")).collect::<Vec<_>>().join(" or ");
    let births = if which == Unread::Moves { "" } else { ", 'I'" };
    let renamed = if which == Unread::Writes { "true".to_owned() } else { renamed };
    let sql = format!(
        "select seq, op, origin, {} from main.{} where seq > ?1 and (op in ('D', 'X'{births}) or (op = 'U' and ({renamed})))",
        log.names.parts(table.key.len()),
        log.names.log
    );
    let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
    let mut rows = statement.query(params![upto]).map_err(fault)?;
    let mut named = HashSet::new();
    while let Some(row) = rows.next().map_err(fault)? {
        let raw = raw_of(table, row, ours.map(|ours| ours.writer))?;
        if raw.own || ours.is_some_and(|ours| raw.seq > ours.before) {
            continue;
        }
        named.extend(raw.old.iter().chain(&raw.new).map(Key::encode).filter(|key| keys.contains(key)));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ops(log: &[(char, i64, i64)]) -> Vec<String> {
        let raw: Vec<Raw> = log
            .iter()
            .enumerate()
            .map(|(i, (op, old, new))| Raw {
                seq: i as i64,
                op: *op as u8,
                origin: None,
                own: false,
                old: (*op != 'I').then(|| Key::int(*old)),
                new: matches!(op, 'I' | 'U').then(|| Key::int(*new)),
                by: (*op == 'X' && *new != 0).then(|| Key::int(*new)),
            })
            .collect();
        interpret(&raw)
            .into_iter()
            .map(|event| format!("{:?} {}{}", event.op, event.key, if event.probe { " ?" } else { "" }))
            .collect()
    }

    #[test]
    fn a15_replace_with_and_without_recursive_triggers_is_the_same_record() {
        assert_eq!(ops(&[('X', 1, 0), ('D', 1, 0), ('I', 0, 1)]), ["Update 1", "Replace 1"]);
        assert_eq!(ops(&[('X', 1, 0), ('I', 0, 1)]), ["Update 1", "Replace 1"]);
        let two = [('X', 1, 0), ('X', 2, 0), ('D', 1, 0), ('D', 2, 0), ('I', 0, 1)];
        assert_eq!(ops(&two), ["Update 1", "Update 2", "Delete 2", "Replace 1"]);
    }

    #[test]
    fn a15_a_key_taken_by_update_or_replace_is_a_delete() {
        assert_eq!(ops(&[('X', 2, 0), ('U', 1, 2)]), ["Delete 2", "Rename { to: Key(2) } 1"]);
        assert_eq!(ops(&[('X', 2, 0), ('D', 2, 0), ('U', 1, 2)]), ["Update 2", "Delete 2", "Rename { to: Key(2) } 1"]);
    }

    #[test]
    fn c4_a_key_given_again_after_a_probe_is_another_record() {
        // Ignored, deleted, inserted anew: the first asked for no key.
        let ignored = [('X', 2, -1), ('D', 2, 0), ('I', 0, 2)];
        assert_eq!(ops(&ignored), ["Update 2", "Delete 2", "Insert 2"]);
        // An update took the place; then the key was free.
        assert_eq!(ops(&[('X', 2, 1), ('U', 1, 1), ('I', 0, 2)]), ["Delete 2", "Update 1", "Insert 2"]);
        assert_eq!(ops(&[('X', 2, -1), ('I', 0, 3), ('D', 3, 0), ('I', 0, 2)]), ["Delete 2", "Insert 3", "Delete 3", "Insert 2"]);
        assert_eq!(ops(&[('X', 2, 2), ('D', 2, 0), ('I', 0, 2)]), ["Update 2", "Replace 2"]);
        assert_eq!(ops(&[('X', 2, 2), ('I', 0, 2)]), ["Update 2", "Replace 2"]);
    }

    #[test]
    fn a15_a_probe_alone_is_looked_into() {
        assert_eq!(ops(&[('X', 2, 0), ('I', 0, 1)]), ["Update 2 ?", "Insert 1"]);
        assert_eq!(ops(&[('X', 2, 0), ('U', 3, 3)]), ["Update 2 ?", "Update 3"]);
    }

    #[test]
    fn c4_a_key_used_again_is_another_record() {
        assert_eq!(ops(&[('D', 1, 0), ('I', 0, 1)]), ["Delete 1", "Insert 1"]);
        assert_eq!(ops(&[('X', 1, 0), ('U', 9, 10), ('D', 1, 0), ('I', 0, 1)])[2..], ["Delete 1", "Insert 1"]);
    }
}
