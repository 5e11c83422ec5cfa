//! Change logs: one per table, read in one statement, emptied row by row.
//!
//! `seq` is given out when a row is written, not when it is committed, so no cursor can stand on it (A1). A log with
//! one reader loses exactly the rows that were read and recorded. A log with several is drained: its committed rows
//! move to `twinrow_queue`, under new numbers given out in one transaction at a time; there a cursor is safe.

use std::collections::btree_map::Entry::{Occupied, Vacant};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use mysql_async::{Row, Value as Wire};
use sha2::{Digest, Sha256};

use super::catalog::{quoted, schema_of};
use super::connection::{Connection, field_optional, field_text};
use super::replaced;
use super::session::documents;
use super::value::{decode_logged, from_log, logged_type};
use crate::endpoint::{Acknowledge, MovedBy, Unread};
use crate::error::{Error, Kind, Result};
use crate::model::{Column, Key, KeyBytes, KeySource, Position, Table, TableName, hex};

/// Rows moved or removed in one step.
const STEP: usize = 5_000;

/// The log of one tracked table.
#[derive(Clone, Debug)]
pub(super) struct Log {
    /// The tracked table's name, as links spell it: the name of its row in `twinrow_collection`.
    pub(super) collection: String,
    /// The log's table.
    pub(super) name: String,
    key: Vec<Column>,
    /// The engine numbers the rows.
    pub(super) generated: bool,
}

/// One row of a log or of the queue.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    /// Index into the logs read.
    pub(super) log: usize,
    pub(super) seq: i64,
    /// Its number in the queue, if it was read there.
    pub(super) n: Option<i64>,
    pub(super) what: What,
    pub(super) origin: Option<String>,
    /// [`WRITER`](super::replaced::WRITER); `None` in the queue, and of entries that an older version wrote.
    pub(super) writer: Option<u64>,
    /// The trigger of a parent wrote it, before anything went: see [`cascaded`](super::cascaded).
    pub(super) hint: bool,
}

/// What a log row says.
#[derive(Clone, Debug)]
pub(super) enum What {
    Insert(Key),
    Update(Key, Key),
    Delete(Key),
    /// What is left of a REPLACE, whose delete only says that the row changed.
    Replace(Key),
    /// As that, of a delete and an insert right behind it, or of what does not say by which statements.
    PutBack(Key),
    /// Anything may have happened: a marker, or a key that can't be read (A74).
    Anything,
    /// The first row of every log: which log this is (A11).
    Epoch,
}

/// The keys about which nothing may be concluded while a log row is unread (rule 2).
#[derive(Clone, Debug)]
pub(super) enum Named<'a> {
    Keys(Vec<&'a Key>),
    /// All of the collection.
    All,
}

impl What {
    /// What a row of this kind says of who has which key: of a rename both, the one that is free now and the one that is
    /// taken.
    pub(super) fn moves(&self, which: Unread) -> Named<'_> {
        match self {
            // Of what came in the place of a row the match rule may yet say that it is another record.
            What::Delete(key) | What::Replace(key) | What::PutBack(key) => Named::Keys(vec![key]),
            What::Update(old, new) if old.encode() != new.encode() => Named::Keys(vec![old, new]),
            What::Insert(key) if which != Unread::Moves => Named::Keys(vec![key]),
            What::Update(_, key) if which == Unread::Writes => Named::Keys(vec![key]),
            What::Insert(_) | What::Update(..) | What::Epoch => Named::Keys(Vec::new()),
            What::Anything => Named::All,
        }
    }
}

impl Log {
    /// The log of `table`. Its name carries the types of the key: another key, another log.
    pub(super) fn of(table: &Table, database: &str) -> Log {
        let key: Vec<Column> = table.key_columns().cloned().collect();
        let mut text = format!("{}\0{}", schema_of(&table.name, database), table.name.name);
        for column in &key {
            text.push('\0');
            text.push_str(&logged_type(column));
        }
        let generated = table.key_source == KeySource::Generated;
        Log { collection: table.name.to_string(), name: format!("twinrow_log_{}", short_hash(&text)), key, generated }
    }

    /// Its columns, as they are created.
    pub(super) fn columns(&self) -> String {
        let columns = self.typed_columns().into_iter().map(|(name, kind)| format!("{name} {kind}"));
        columns.collect::<Vec<_>>().join(",\n  ")
    }

    /// The names of its key columns with their types, old ones and then new ones.
    pub(super) fn typed_columns(&self) -> Vec<(String, String)> {
        let side = |letter: char| {
            let columns = self.key.iter().enumerate();
            columns.map(move |(i, column)| (format!("{letter}{}", i + 1), logged_type(column))).collect::<Vec<_>>()
        };
        [side('o'), side('n')].concat()
    }

    /// Selects rows after `after` in order.
    fn select(&self, at: usize, width: usize, after: i64, most: usize) -> String {
        self.rows(at, width, &format!("where seq > {after} order by seq limit {most}"))
    }

    /// Selects rows, the keys padded to `width` parts.
    fn rows(&self, at: usize, width: usize, which: &str) -> String {
        let side = |letter: char| {
            (0..width).map(move |i| match self.key.get(i) {
                Some(column) => from_log(column, &format!("{letter}{}", i + 1)),
                None => "null".to_owned(),
            })
        };
        let keys: Vec<String> = side('o').chain(side('n')).collect();
        format!("(select {at}, seq, op, origin, writer, {} from {} {which})", keys.join(", "), quoted(&self.name))
    }

    fn key(&self, row: &Row, from: usize) -> Option<Key> {
        let parts = self.key.iter().enumerate().map(|(i, column)| decode_logged(column, row.as_ref(from + i)?));
        parts.collect::<Option<Vec<_>>>().map(Key)
    }

    fn logged(&self, log: usize, row: &Row, width: usize) -> Result<Logged> {
        let op = field_text(row, 2)?;
        let (old, new) = (self.key(row, 5), self.key(row, 5 + width));
        let writer = field_optional(row, 4)?.and_then(|text| text.parse().ok());
        let what = what(&op, old, new);
        Ok(Logged { log, seq: number(row, 1)?, n: None, what, origin: field_optional(row, 3)?, writer, hint: is_hint(&op) })
    }
}

pub(super) fn what(op: &str, old: Option<Key>, new: Option<Key>) -> What {
    match (op, old, new) {
        ("E", ..) => What::Epoch,
        ("I", _, Some(new)) => What::Insert(new),
        ("U" | "M", Some(old), Some(new)) => What::Update(old, new),
        ("D" | "C", Some(old), _) => What::Delete(old),
        // (Older versions wrote this of a REPLACE, too.)
        ("R", _, Some(new)) => What::PutBack(new),
        ("S", _, Some(new)) => What::Replace(new),
        _ => What::Anything,
    }
}

/// What goes, or moves, with a parent.
fn is_hint(op: &str) -> bool {
    matches!(op, "C" | "M")
}

/// Twelve hexadecimal digits: names stay within 64 characters whatever the table is called (A57).
pub(super) fn short_hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..6])
}

pub(super) fn number(row: &Row, at: usize) -> Result<i64> {
    field_text(row, at)?.parse().map_err(|_| Error::new(Kind::Internal, "a table of Twinrow's own holds no number"))
}

/// Reads `most` rows of each log after its boundary, all in one statement: one statement is one view (A9).
pub(super) async fn read(connection: &mut Connection, logs: &[(usize, &Log, i64)], most: usize) -> Result<Vec<Logged>> {
    if logs.is_empty() {
        return Ok(Vec::new());
    }
    let width = logs.iter().map(|(_, log, _)| log.key.len()).max().unwrap_or(0);
    let selects: Vec<String> = logs.iter().map(|(at, log, after)| log.select(*at, width, *after, most)).collect();
    let rows = connection.rows(&selects.join(" union all "), Vec::new()).await.map_err(missing)?;
    let by_number: HashMap<usize, &Log> = logs.iter().map(|(at, log, _)| (*at, *log)).collect();
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let at = usize::try_from(number(&row, 0)?).unwrap_or(usize::MAX);
        let log = by_number.get(&at).ok_or_else(|| Error::new(Kind::Internal, "a log that was not asked for"))?;
        all.push(log.logged(at, &row, width)?);
    }
    all.sort_by_key(|logged| (logged.log, logged.seq));
    Ok(all)
}

/// A log or a table of ours that is not there is a matter of installing, not of the schema.
pub(super) fn missing(error: Error) -> Error {
    match error.kind() {
        Kind::Schema => {
            Error::new(Kind::Tracking, "tracking is not installed, or was removed").hint("twinrow install").source(error)
        }
        _ => error,
    }
}

/// The newest rows below a number, newest first.
pub(super) async fn newest(connection: &mut Connection, log: &Log, below: i64, most: usize) -> Result<Vec<Logged>> {
    let width = log.key.len();
    let sql = log.rows(0, width, &format!("where seq < {below} and op <> 'E' order by seq desc limit {most}"));
    let rows = connection.rows(&sql, Vec::new()).await.map_err(missing)?;
    rows.iter().map(|row| log.logged(0, row, width)).collect()
}

/// The rows that have these numbers.
pub(super) async fn numbered(connection: &mut Connection, log: &Log, seqs: &[i64]) -> Result<Vec<Logged>> {
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let width = log.key.len();
    let seqs: Vec<String> = seqs.iter().map(i64::to_string).collect();
    let sql = log.rows(0, width, &format!("where seq in ({}) order by seq", seqs.join(", ")));
    let rows = connection.rows(&sql, Vec::new()).await.map_err(missing)?;
    rows.iter().map(|row| log.logged(0, row, width)).collect()
}

/// The keys that rows of this kind after the boundary name, or all keys of the collection; those with numbers of `read` are read.
pub(super) async fn unread(
    connection: &mut Connection,
    log: &Log,
    (after, read): (i64, &HashSet<i64>),
    which: Unread,
    mut found: impl FnMut(Named<'_>) + Send,
) -> Result<()> {
    let births = if which == Unread::Moves { "op <> 'I'" } else { "true" };
    each_move(connection, log, (&format!("{births} and seq > {after}"), which), read, |what| found(what.moves(which))).await
}

/// The keys that rows name which a window had not read, of its log and of the queue: what they say of who has which key.
/// What this transaction's own integration has created says nothing of a record that was there before ([`MovedBy`]).
pub(super) async fn unread_since(
    connection: &mut Connection,
    log: &Log,
    since: &Stand,
    read: &HashSet<i64>,
    by: MovedBy,
    mut found: impl FnMut(Named<'_>) + Send,
) -> Result<()> {
    let which = match by {
        MovedBy::Anybody => "not (op = 'I' and origin <=> @twinrow_origin)",
        MovedBy::Others => "not (origin <=> @twinrow_origin)",
    };
    each_move(connection, log, (which, Unread::Births), read, |what| found(what.moves(Unread::Births))).await?;
    // After the log: what is drained meanwhile is met in one of the two.
    for logged in read_queue(connection, &[(0, log, since.n)], usize::MAX >> 1).await? {
        if by == MovedBy::Anybody || !connection.is_ours(logged.origin.as_deref()) {
            found(logged.what.moves(Unread::Births));
        }
    }
    Ok(())
}

/// The rows of a log that may say who has which key, as far as `which` goes, in order; those with numbers of `read` are read.
async fn each_move(
    connection: &mut Connection,
    log: &Log,
    (which, kind): (&str, Unread),
    read: &HashSet<i64>,
    mut found: impl FnMut(What) + Send,
) -> Result<()> {
    let width = log.key.len();
    // By their bytes: with blanks behind it, a text is another key, whatever its collation says (C6).
    let same: Vec<String> = (1..=width).map(|i| format!("cast(o{i} as binary) <=> cast(n{i} as binary)")).collect();
    let same = if kind == Unread::Writes { "false".to_owned() } else { same.join(" and ") };
    let sql = log.rows(0, width, &format!("where ({which} and not (op = 'U' and {same})) order by seq"));
    let mut failed = None;
    let each = |row: Row| match log.logged(0, &row, width) {
        Ok(logged) if read.contains(&logged.seq) => {}
        Ok(logged) => found(logged.what),
        Err(error) => failed = Some(error),
    };
    connection.each(&sql, Vec::new(), each).await.map_err(missing)?;
    failed.map_or(Ok(()), Err)
}

/// How many consumers the logs have, and whether something of theirs is in the queue.
pub(super) async fn consumers(connection: &mut Connection, logs: &[&Log]) -> Result<Vec<(u64, bool)>> {
    let sql = sql!("consumer_count");
    let names: Vec<&str> = logs.iter().map(|log| log.collection.as_str()).collect();
    let json = serde_json::Value::from(names).to_string();
    let mut found = HashMap::new();
    for row in connection.rows(sql, vec![Wire::from(json)]).await.map_err(missing)? {
        found.insert(field_text(&row, 0)?, (number(&row, 1)?.unsigned_abs(), number(&row, 2)? != 0));
    }
    Ok(logs.iter().map(|log| found.get(&log.collection).copied().unwrap_or_default()).collect())
}

/// Takes the drain row's lock; the last number given out in the queue.
pub(super) async fn lock_drain(connection: &mut Connection) -> Result<i64> {
    let rows = connection.rows(sql!("drain_lock"), Vec::new()).await.map_err(missing)?;
    rows.first().map_or_else(|| Err(missing(Error::new(Kind::Schema, "no drain row"))), |row| number(row, 0))
}

/// Moves what is committed in these logs to the queue, in one transaction under the drain row's lock.
///
/// It needs no fence: a stale process can move entries but not lose, change or order them otherwise. The
/// isolation is READ COMMITTED and rows are deleted by number, so no application waits (A45, A46).
pub(super) async fn drain(connection: &mut Connection, logs: &[&Log]) -> Result<()> {
    let numbered: Vec<(usize, &Log, i64)> = logs.iter().enumerate().map(|(i, log)| (i, *log, 0)).collect();
    loop {
        connection.start("").await?;
        let full = drain_step(connection, &numbered).await?;
        connection.commit().await?;
        if !full {
            return Ok(());
        }
    }
}

/// One step inside a transaction; whether there may be more.
pub(super) async fn drain_step(connection: &mut Connection, logs: &[(usize, &Log, i64)]) -> Result<bool> {
    let mut n = lock_drain(connection).await?;
    let (all, full) = read_step(connection, logs).await?;
    let mut removed: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    let mut moved = Vec::new();
    let names: HashMap<usize, &Log> = logs.iter().map(|(at, log, _)| (*at, *log)).collect();
    for logged in &all {
        let Some(log) = names.get(&logged.log) else { continue };
        if matches!(logged.what, What::Epoch) {
            continue;
        }
        n += 1;
        moved.push(queued(n, &log.collection, logged));
        removed.entry(logged.log).or_default().push(logged.seq);
    }
    let sql = sql!("queue_insert");
    for (json, _) in documents(moved.into_iter(), connection.json_max()) {
        connection.write(sql, vec![Wire::Bytes(json)]).await?;
    }
    for (at, seqs) in &removed {
        if let Some(log) = names.get(at) {
            remove(connection, &log.name, seqs).await?;
        }
    }
    if !removed.is_empty() {
        connection.write(sql!("drain_write"), vec![n.into()]).await?;
    }
    Ok(full)
}

/// What one step moves, with both halves of each REPLACE, and whether there may be more. In the queue a cursor may stop anywhere: there
/// each half says what it is.
async fn read_step(connection: &mut Connection, logs: &[(usize, &Log, i64)]) -> Result<(Vec<Logged>, bool)> {
    let (mut all, mut full) = (Vec::new(), false);
    let read = read(connection, logs, STEP).await?;
    for (at, log, _) in logs {
        let mut rows: Vec<Logged> = read.iter().filter(|logged| logged.log == *at).cloned().collect();
        if let Some(last) = rows.last().map(|logged| logged.seq).filter(|_| rows.len() >= STEP) {
            full = true;
            replaced::complete(connection, log, &mut rows, last).await?;
        }
        all.extend(rows);
    }
    replaced::mark(&mut all, |at| logs.iter().any(|(other, log, _)| *other == at && log.generated));
    Ok((all, full))
}

fn queued(n: i64, collection: &str, logged: &Logged) -> String {
    let key = |key: Option<&Key>| key.map_or("null".to_owned(), |key| format!("\"{}\"", hex(key.encode().as_bytes())));
    let (op, old, new) = match &logged.what {
        What::Insert(new) => ('I', None, Some(new)),
        What::Update(old, new) => (if logged.hint { 'M' } else { 'U' }, Some(old), Some(new)),
        What::Delete(old) => (if logged.hint { 'C' } else { 'D' }, Some(old), None),
        What::PutBack(new) => ('R', None, Some(new)),
        What::Replace(new) => ('S', None, Some(new)),
        What::Anything | What::Epoch => ('T', None, None),
    };
    let origin = serde_json::Value::from(logged.origin.clone());
    let collection = serde_json::Value::from(collection);
    format!("{n},{collection},{},\"{op}\",{origin},{},{}", logged.seq, key(old), key(new))
}

/// Removes exactly these rows of a log (A8).
pub(super) async fn remove(connection: &mut Connection, log: &str, seqs: &[i64]) -> Result<()> {
    // The index is forced: a scan of a small log would wait for rows that are not committed yet (A46).
    let sql = format!(
        "delete p from json_table(?, '$[*]' columns (seq bigint unsigned path '$' error on error)) as a \
         straight_join {} as p force index (primary) on p.seq = a.seq and p.op <> 'E'",
        quoted(log)
    );
    for step in seqs.chunks(STEP) {
        let json = serde_json::Value::from(step).to_string();
        connection.write(&sql, vec![Wire::from(json)]).await.map_err(missing)?;
    }
    Ok(())
}

/// Rows of the queue after each log's number, at most `most` in all.
pub(super) async fn read_queue(connection: &mut Connection, logs: &[(usize, &Log, i64)], most: usize) -> Result<Vec<Logged>> {
    if logs.is_empty() {
        return Ok(Vec::new());
    }
    let sql = sql!("queue_read");
    let set: Vec<serde_json::Value> =
        logs.iter().map(|(at, log, after)| serde_json::json!([at, log.collection, after])).collect();
    let json = serde_json::Value::from(set).to_string();
    let rows = connection.rows(sql, vec![Wire::from(json), Wire::from(most as u64)]).await.map_err(missing)?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let key = |at: usize| match row.as_ref(at) {
            Some(Wire::Bytes(bytes)) => KeyBytes::from(bytes.as_slice()).decode(),
            _ => None,
        };
        let op = field_text(&row, 2)?;
        all.push(Logged {
            log: usize::try_from(number(&row, 0)?).unwrap_or(usize::MAX),
            seq: number(&row, 1)?,
            n: Some(number(&row, 4)?),
            what: what(&op, key(5), key(6)),
            origin: field_optional(&row, 3)?,
            writer: None,
            hint: is_hint(&op),
        });
    }
    Ok(all)
}

/// Where a consumer stands: which log it reads, and the last number of the queue it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) epoch: String,
    pub(super) n: i64,
}

impl Stand {
    pub(super) fn parse(position: &Position) -> Result<Stand> {
        let parsed =
            position.0.rsplit_once(':').and_then(|(epoch, n)| Some(Stand { epoch: epoch.to_owned(), n: n.parse().ok()? }));
        parsed.ok_or_else(|| Error::new(Kind::Tracking, "the recorded position is not one of a MySQL log").hint("twinrow check"))
    }

    pub(super) fn position(&self) -> Position {
        Position(format!("{}:{}", self.epoch, self.n))
    }
}

/// Which log this is. It is a row of the log itself, and the only one that is never removed: a log that was emptied
/// or made again, whose numbers may begin anew, does not have it (A11).
pub(super) async fn epoch(connection: &mut Connection, log: &Log) -> Result<String> {
    let sql = format!("select origin from {} where op = 'E' order by seq limit 1", quoted(&log.name));
    let rows = connection.rows(&sql, Vec::new()).await.map_err(missing)?;
    rows.first().map_or_else(|| Err(emptied(log)), |row| field_text(row, 0))
}

pub(super) fn emptied(log: &Log) -> Error {
    Error::new(Kind::Tracking, format!("the log of {} was emptied or made again: changes may be missing", log.collection))
        .hint("twinrow install, then twinrow resync full")
}

/// Acknowledges what one consumer has recorded. Inside its fenced transaction.
pub(super) async fn acknowledge(connection: &mut Connection, integration: &str, upto: &[Acknowledge]) -> Result<()> {
    if upto.is_empty() {
        return Ok(());
    }
    lock_drain(connection).await?;
    let states = states(connection, integration, upto).await?;
    for (table, (n, read)) in by_table(upto)? {
        let Some(state) = states.get(table) else { continue };
        // A second consumer may have come since this was read: then the rows stay, and are drained.
        if state.others == 0 {
            remove(connection, &state.log, &read.into_iter().collect::<Vec<_>>()).await?;
        }
        if state.n.is_some_and(|before| before < n) {
            let sql = sql!("consumer_move");
            let collection = table.to_string();
            connection.write(sql, vec![n.into(), collection.clone().into(), integration.into()]).await?;
            prune(connection, &collection).await?;
        }
    }
    Ok(())
}

/// Two links on one table have a cursor each, and are one consumer: the one that is behind counts, and only what both
/// have read may go.
fn by_table(upto: &[Acknowledge]) -> Result<BTreeMap<&TableName, (i64, BTreeSet<i64>)>> {
    let mut all: BTreeMap<&TableName, (i64, BTreeSet<i64>)> = BTreeMap::new();
    for done in upto {
        let n = Stand::parse(&done.position)?.n;
        let read: BTreeSet<i64> = done.receipt.0.iter().copied().collect();
        match all.entry(&done.table) {
            Occupied(mut other) => {
                let (least, common) = other.get_mut();
                *least = n.min(*least);
                common.retain(|seq| read.contains(seq));
            }
            Vacant(first) => {
                first.insert((n, read));
            }
        }
    }
    Ok(all)
}

/// A log as its consumer's acknowledgement finds it.
struct State {
    log: String,
    /// Consumers but this one.
    others: i64,
    /// This one's number in the queue.
    n: Option<i64>,
}

async fn states(connection: &mut Connection, integration: &str, upto: &[Acknowledge]) -> Result<HashMap<TableName, State>> {
    let sql = sql!("consumer_read");
    let names: Vec<String> = upto.iter().map(|done| done.table.to_string()).collect();
    let json = serde_json::Value::from(names).to_string();
    let tables: HashMap<String, &TableName> = upto.iter().map(|done| (done.table.to_string(), &done.table)).collect();
    let mut states = HashMap::new();
    for row in connection.rows(sql, vec![integration.into(), integration.into(), json.into()]).await.map_err(missing)? {
        let n = field_optional(&row, 3)?.and_then(|text| text.parse().ok());
        if let Some(table) = tables.get(&field_text(&row, 0)?) {
            states.insert((*table).clone(), State { log: field_text(&row, 1)?, others: number(&row, 2)?, n });
        }
    }
    Ok(states)
}

/// Removes from the queue what every consumer has. A range is safe here: numbers were given out after commit.
pub(super) async fn prune(connection: &mut Connection, collection: &str) -> Result<()> {
    let sql = sql!("consumer_least");
    let rows = connection.rows(sql, vec![collection.into()]).await?;
    let Some(least) = rows.first().map(|row| field_optional(row, 0)).transpose()?.flatten() else { return Ok(()) };
    let step = || vec![collection.into(), Wire::from(least.as_str()), Wire::from(STEP as u64)];
    while connection.write(sql!("queue_prune"), step()).await?.affected == STEP as u64 {}
    Ok(())
}

/// Whether it is one: else what it has not read may have been removed.
pub(super) async fn registered(connection: &mut Connection, integration: &str, log: &Log) -> Result<bool> {
    let sql = "select 1 from twinrow_consumer where collection = ? and integration = ?";
    let rows = connection.rows(sql, vec![log.collection.as_str().into(), integration.into()]).await.map_err(missing)?;
    Ok(!rows.is_empty())
}

/// Registers a consumer of one log: from now on nothing is removed that it has not read.
pub(super) async fn register(connection: &mut Connection, integration: &str, log: &Log) -> Result<Position> {
    let epoch = epoch(connection, log).await?;
    loop {
        connection.start("").await?;
        lock_drain(connection).await?;
        let sql = sql!("consumer_list");
        let mut others = false;
        for row in connection.rows(sql, vec![log.collection.as_str().into()]).await? {
            if field_text(&row, 0)? == integration {
                connection.rollback().await?;
                return Ok(Stand { epoch, n: number(&row, 1)? }.position());
            }
            others = true;
        }
        // What is there now is for those who are registered. Where nobody is, it stays: a key too many does no harm,
        // and the row of a consumer may have been lost.
        if others && drain_step(connection, &[(0, log, 0)]).await? {
            connection.commit().await?;
            continue;
        }
        let n = lock_drain(connection).await?;
        let sql = sql!("consumer_register");
        connection.write(sql, vec![log.collection.as_str().into(), integration.into(), n.into()]).await?;
        connection.commit().await?;
        return Ok(Stand { epoch, n }.position());
    }
}
