//! One moment of the database, for reading.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use tokio_postgres::types::ToSql;

use super::Shared;
use super::ahead::Reader;
use super::catalog::{quote, quote_table};
use super::find;
use super::log::{
    Range, collection_name, entries_sql, fold_replacements, lsn_text, named_keys, part_sql, read_before_sql, read_entry,
    unread_any_sql, unread_sql,
};
use super::parts::{Part, Parts};
use super::position::{Cursor, Partial, Snapshot};
use super::rows::{self, Rows};
use super::session::{Conn, Facts, in_order};
use super::value::{carrier, cast};
use crate::endpoint::{Fetched, Keys, ReadReceipt, Tracked, Unread, Window};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Entry, Key, KeyBytes, Normal, Op, Pos, Position, Value};

const BEGIN: &str = "begin isolation level repeatable read, read only; set local search_path to default";
/// Above this many rows an estimate will do for a progress bar.
const COUNT_MAX: i64 = 100_000;

/// A [`Window`] of PostgreSQL: a read-only transaction, whose snapshot the logs and the rows share.
pub(super) struct PgWindow {
    reader: Reader,
    collections: Vec<Collection>,
    entries: Vec<Entry>,
    /// Where each collection's next window begins.
    next: Vec<Cursor>,
    more: bool,
    /// Per collection: whether anything unread could name a key, once it was asked. The snapshot stays, so the
    /// answer does too, and a drain does not walk the rest of its log once a batch.
    names_keys: Vec<HashMap<Unread, bool>>,
    /// Per collection, the parts of a long log.
    parts: Vec<Option<Parts>>,
}

/// What one collection's log gave.
struct Slice {
    entries: Vec<Entry>,
    /// Nothing visible was left behind.
    complete: bool,
    /// No further than here was read.
    upto: Option<i64>,
}

/// Opens a window: its transaction, the state of the logs and their entries leave in one round trip.
pub(super) async fn open(
    mut conn: Conn,
    shared: &Shared,
    facts: &Facts,
    tracked: &[Tracked],
    limit: usize,
    own: impl Fn(&str) -> bool,
) -> Result<PgWindow> {
    let since: Vec<Option<Cursor>> =
        tracked.iter().map(|tracked| tracked.since.as_ref().map(Cursor::parse).transpose()).collect::<Result<_>>()?;
    for (tracked, cursor) in tracked.iter().zip(&since) {
        check_server(tracked, cursor.as_ref(), facts)?;
    }
    // Row by row, so that answers and entries are not in memory both.
    let mut parts: Vec<Option<Parts>> = {
        let learned = shared.learned();
        let known =
            |(tracked, cursor): (&Tracked, &Option<Cursor>)| learned.backlogs.get(&tracked.collection.table, cursor.as_ref()?);
        tracked.iter().zip(&since).map(known).collect()
    };
    let upto: Vec<Option<Part>> = since
        .iter()
        .zip(&parts)
        .map(|(cursor, parts)| parts.as_ref()?.after(cursor.as_ref()?.partial.as_ref()?.lsn).cloned())
        .collect();
    let mut logs = ask(&mut conn, tracked, &since, &upto, limit).await?.into_iter();
    let opened = logs.next().ok_or_else(|| Error::new(Kind::Internal, "a window without an answer"))?;
    let moment = opened.first().and_then(|row| Snapshot::parse(row.get(0)));
    let moment = moment.ok_or_else(|| Error::new(Kind::Internal, "the server's snapshot can't be read"))?;
    let logs_now: HashMap<&str, (&str, bool)> = opened
        .iter()
        .filter_map(|row| Some((row.get::<_, Option<&str>>(1)?, (row.get::<_, &str>(2), row.get::<_, bool>(3)))))
        .collect();
    let heaps: HashSet<&str> = opened.iter().filter(|row| row.get(4)).filter_map(|row| row.get(1)).collect();
    let what = |tracked: &Tracked| {
        let heap = heaps.contains(collection_name(&tracked.collection.table.name).as_str());
        if heap { Rows::Versions } else { Rows::Plain }
    };
    let what = tracked.iter().map(what).collect();

    let mut slices = Vec::with_capacity(tracked.len());
    let mut cursors = Vec::with_capacity(tracked.len());
    for (i, (tracked, cursor)) in tracked.iter().zip(since.clone()).enumerate() {
        let table = &tracked.collection.table;
        let epoch = check_log(tracked, cursor.as_ref(), logs_now.get(collection_name(&table.name).as_str()).copied(), &moment)?;
        let Some(cursor) = cursor else {
            cursors.push(start(epoch, facts, &moment));
            slices.push(Slice { entries: Vec::new(), complete: true, upto: None });
            continue;
        };
        let rows = logs.next().unwrap_or_default();
        let entries = rows.into_iter().map(|row| read_entry(&row, i, table, &own)).collect::<Result<Vec<_>>>()?;
        let upto = upto[i].as_ref().map(|part| part.lsn);
        let complete = entries.len() <= limit && upto.is_none();
        // A long log begins, or there is more of it than was looked for.
        if !complete && upto.is_none() {
            parts[i] = Some(Parts::find(&mut conn, table, &cursor, i64::try_from(limit).unwrap_or(i64::MAX)).await?);
        }
        slices.push(Slice { complete, entries, upto });
        cursors.push(cursor);
    }
    let before: Vec<Option<i64>> = cursors.iter().map(|cursor| Some(cursor.partial.as_ref()?.lsn)).collect();
    let mut window = cut(Reader::new(conn, what), tracked, cursors, slices, &moment, limit);
    for (at, parts) in parts.iter().enumerate() {
        let (table, next, backlogs) = (&tracked[at].collection.table, &window.next[at], &mut shared.learned().backlogs);
        match (parts, &since[at]) {
            (Some(parts), _) if next.partial.is_some() => backlogs.insert(table, next, parts.clone()),
            (Some(_), Some(read)) => backlogs.remove(table, read),
            _ => {}
        }
    }
    window.parts = parts;
    for (at, read) in before.into_iter().enumerate() {
        if let Some(read) = read {
            window.mark_returns(at, read).await?;
        }
    }
    Ok(window)
}

/// A cursor that begins at this moment.
pub(super) fn start(epoch: &str, facts: &Facts, moment: &Snapshot) -> Cursor {
    Cursor {
        epoch: epoch.to_owned(),
        system: facts.system.clone(),
        timeline: facts.timeline.clone(),
        old: moment.clone(),
        partial: None,
    }
}

async fn ask(
    conn: &mut Conn,
    tracked: &[Tracked],
    since: &[Option<Cursor>],
    upto: &[Option<Part>],
    limit: usize,
) -> Result<Vec<Vec<tokio_postgres::Row>>> {
    let names: Vec<String> = tracked.iter().map(|tracked| collection_name(&tracked.collection.table.name)).collect();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
    let open = conn.prepare(include_str!("../../../../sql/postgres/window_open.sql")).await.map_err(not_installed)?;
    let mut statements = Vec::new();
    let mut ranges = Vec::new();
    for ((tracked, cursor), part) in tracked.iter().zip(since).zip(upto) {
        let Some(cursor) = cursor else { continue };
        let table = &tracked.collection.table;
        let sql = if part.is_some() { part_sql(table) } else { entries_sql(table) };
        statements.push(conn.prepare(&sql).await.map_err(not_installed)?);
        ranges.push((Range::after(cursor), part.as_ref().map(|part| (lsn_text(part.lsn), part.xids))));
    }
    let params = ranges.iter().map(|(range, part)| {
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&range.from, &range.open, &range.mid, &range.lsn];
        match part {
            Some((lsn, [first, last])) => params.extend([lsn as &(dyn ToSql + Sync), first, last]),
            None => params.push(&limit),
        }
        params
    });
    let params: Vec<Vec<&(dyn ToSql + Sync)>> = params.collect();
    conn.opened();
    let open_params: [&(dyn ToSql + Sync); 1] = [&names];
    let answers = {
        let mut requests = vec![conn.command(BEGIN)?, conn.request(&open, &open_params)?];
        for (statement, params) in statements.iter().zip(&params) {
            requests.push(conn.request(statement, params)?);
        }
        in_order(requests).await
    };
    let answers: Vec<_> = answers.into_iter().map(|answer| conn.check(answer)).collect::<Result<_>>().map_err(not_installed)?;
    Ok(answers.into_iter().skip(1).collect())
}

/// A table of ours that is not there, or that we may not read, is a matter of tracking.
fn not_installed(error: Error) -> Error {
    match error.kind() {
        Kind::Schema => {
            Error::new(Kind::Tracking, format!("a change log is missing: {}", error.message())).hint("twinrow install")
        }
        _ => error,
    }
}

/// A position of another cluster or history says nothing about this one (A65).
fn check_server(tracked: &Tracked, cursor: Option<&Cursor>, facts: &Facts) -> Result<()> {
    let Some(cursor) = cursor else { return Ok(()) };
    let table = &tracked.collection.table.name;
    if cursor.system != facts.system {
        return Err(Error::new(
            Kind::Identity,
            format!("{table} is in another cluster than the one that was read: a restored dump or a clone"),
        )
        .hint("twinrow check"));
    }
    if cursor.timeline != facts.timeline {
        return Err(Error::new(
            Kind::Tracking,
            format!("a standby took over, or a backup was restored, since {table} was read: it must be compared"),
        )
        .hint("twinrow run   # which does it"));
    }
    Ok(())
}

/// The log's epoch, if the log is the one the position was taken on.
fn check_log<'a>(tracked: &Tracked, cursor: Option<&Cursor>, now: Option<(&'a str, bool)>, moment: &Snapshot) -> Result<&'a str> {
    let table = &tracked.collection.table.name;
    let compare =
        |why: &str| Err(Error::new(Kind::Tracking, format!("{why} {table}: it must be compared")).hint("twinrow resync full"));
    let Some((epoch, same)) = now else {
        return Err(Error::new(Kind::Tracking, format!("{table} is not tracked")).hint("twinrow install"));
    };
    if !same {
        return compare("the change log was dropped or made again for");
    }
    let Some(cursor) = cursor else { return Ok(epoch) };
    if cursor.epoch != epoch {
        return compare("the change log was emptied or made again for");
    }
    let last = cursor.partial.as_ref().map_or(&cursor.old, |partial| &partial.mid);
    if last.xmax > moment.xmax {
        return compare("the server is older than what was read of");
    }
    Ok(epoch)
}

/// Takes `limit` entries over all logs, in log order; entries at one position stay together.
fn cut(
    reader: Reader,
    tracked: &[Tracked],
    cursors: Vec<Cursor>,
    slices: Vec<Slice>,
    moment: &Snapshot,
    limit: usize,
) -> PgWindow {
    let mut more = false;
    let mut all: Vec<i64> = slices.iter().flat_map(|slice| slice.entries.iter().map(|entry| entry.pos.0)).collect();
    all.sort_unstable();
    let last = if all.len() > limit { all.get(limit.max(1) - 1).copied() } else { None };
    let last = slices.iter().filter_map(|slice| slice.upto).chain(last).min();
    let mut entries = Vec::with_capacity(all.len().min(limit));
    let mut next = Vec::with_capacity(cursors.len());
    for (mut cursor, slice) in cursors.into_iter().zip(slices) {
        let count = slice.entries.len();
        let taken: Vec<Entry> = slice.entries.into_iter().filter(|entry| last.is_none_or(|last| entry.pos.0 <= last)).collect();
        let complete = slice.complete && taken.len() == count;
        let before = cursor.partial.take();
        if !complete {
            more = true;
            let lsn = last.into_iter().chain(before.as_ref().map(|partial| partial.lsn)).max().unwrap_or_default();
            cursor.partial = Some(Partial { mid: before.map_or_else(|| moment.clone(), |partial| partial.mid), lsn });
        } else if let Some(partial) = before {
            // The rest of an earlier window is read; what came after it is next.
            more = more || partial.mid != *moment;
            cursor.old = partial.mid;
        } else {
            cursor.old = moment.clone();
        }
        next.push(cursor);
        entries.extend(taken);
    }
    entries.sort_by_key(|entry| entry.pos);
    PgWindow {
        reader,
        collections: tracked.iter().map(|tracked| tracked.collection.clone()).collect(),
        entries: fold_replacements(entries),
        names_keys: vec![HashMap::new(); next.len()],
        parts: Vec::new(),
        next,
        more,
    }
}

impl PgWindow {
    fn collection(&self, at: usize) -> Result<&Collection> {
        self.collections.get(at).ok_or_else(|| Error::new(Kind::Internal, "a window has no collection of this number"))
    }

    /// Whether there is an unread entry of this kind at all.
    async fn any_unread(&mut self, at: usize, which: Unread) -> Result<bool> {
        let (table, mut cursor) = (self.collection(at)?.table.clone(), self.next[at].clone());
        // Of a long log it is known what follows: but for what came since it was begun.
        if let (Some(parts), Some(partial)) = (self.parts.get(at).and_then(Option::as_ref), &cursor.partial) {
            match parts.has(which, partial.lsn) {
                Some(true) => return Ok(true),
                Some(false) => cursor = Cursor { old: partial.mid.clone(), partial: None, ..cursor },
                None => {}
            }
        }
        let range = Range::after(&cursor);
        let params: [&(dyn ToSql + Sync); 4] = [&range.from, &range.open, &range.mid, &range.lsn];
        let rows = self.reader.conn().await?.query(&unread_any_sql(&table, which), &params).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// A transaction may reach over the end of a window: inserts of keys that it had deleted in the part up to `read`.
    async fn mark_returns(&mut self, at: usize, read: i64) -> Result<()> {
        let table = self.collection(at)?.table.clone();
        // What this very window has said about a key before, in the same transaction, comes after what was read.
        let (mut told, mut inserts, mut keys, mut xids) = (HashSet::new(), Vec::new(), Vec::new(), Vec::new());
        for (i, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.collection == at && !entry.own) {
            let Some(xid) = entry.transaction.filter(|_| entry.op != Op::Update) else { continue };
            if let Op::Rename { to } = &entry.op {
                told.insert((xid, to.encode()));
            }
            if told.insert((xid, entry.key.encode())) && entry.op == Op::Insert {
                inserts.push(i);
                keys.push(entry.key.clone());
                xids.push(xid.to_string());
            }
        }
        if keys.is_empty() {
            return Ok(());
        }
        let mut once = xids.clone();
        once.sort_unstable();
        once.dedup();
        let lsn = lsn_text(read);
        let columns = rows::key_columns(&table, &keys)?;
        let columns = rows::as_params(&columns);
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&lsn, &xids, &once];
        params.extend(rows::params(&columns));
        for answer in self.reader.conn().await?.query(&read_before_sql(&table), &params).await? {
            let (ord, deleted, op): (i64, i64, &str) = (answer.get(0), answer.get(1), answer.get(2));
            let entry = usize::try_from(ord - 1).ok().and_then(|ord| self.entries.get_mut(*inserts.get(ord)?));
            if let (Some(entry), "D") = (entry, op) {
                entry.op = Op::Return { deleted: Pos(deleted) };
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Window for PgWindow {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn more(&self) -> bool {
        self.more
    }

    fn position(&self, collection: usize) -> Position {
        self.next.get(collection).map(Cursor::position).unwrap_or_default()
    }

    fn receipt(&self, _: usize) -> ReadReceipt {
        ReadReceipt::default()
    }

    async fn fetch(&mut self, at: usize, keys: &[Key]) -> Result<Vec<Fetched>> {
        let collection = self.collection(at)?.clone();
        self.reader.fetch(at, &collection, keys).await
    }

    async fn spelled(&mut self, collection: usize, keys: &[Key]) -> Result<Vec<Option<Key>>> {
        let table = self.collection(collection)?.table.clone();
        rows::spelled(self.reader.conn().await?, &table, keys).await
    }

    fn ahead(&mut self, at: usize, keys: Keys) {
        if let Ok(collection) = self.collection(at).cloned() {
            self.reader.begin(at, collection, keys);
        }
    }

    async fn unread(&mut self, collection: usize, keys: &[Key], which: Unread) -> Result<HashSet<KeyBytes>> {
        // Rows and entries are of one snapshot: only what the limit kept out is unread.
        if !self.more || keys.is_empty() {
            return Ok(HashSet::new());
        }
        let table = self.collection(collection)?.table.clone();
        let Some(cursor) = self.next.get(collection) else { return Ok(HashSet::new()) };
        let range = Range::after(cursor);
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&range.from, &range.open, &range.mid, &range.lsn];
        let names_keys = match self.names_keys.get(collection).and_then(|known| known.get(&which)) {
            Some(known) => *known,
            None => self.any_unread(collection, which).await?,
        };
        self.names_keys[collection].insert(which, names_keys);
        if !names_keys {
            return Ok(HashSet::new());
        }
        let columns = rows::key_columns(&table, keys)?;
        let columns = rows::as_params(&columns);
        params.extend(rows::params(&columns));
        Ok(named_keys(keys, &self.reader.conn().await?.query(&unread_sql(&table, which), &params).await?))
    }

    async fn find(&mut self, collection: usize, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>> {
        let collection = self.collection(collection)?.clone();
        find::find(self.reader.conn().await?, &collection, rule, values).await
    }

    async fn page(&mut self, collection: usize, after: Option<&Key>, limit: usize) -> Result<Vec<Key>> {
        let table = self.collection(collection)?.table.clone();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let columns: Vec<String> = table.key_columns().map(|column| format!("t.{}", quote(&column.name))).collect();
        let bound = |(i, column)| cast(column, &format!("${}::{}", i + 2, carrier(&column.kind)));
        let bounds: Vec<String> = table.key_columns().enumerate().map(bound).collect();
        let beyond = if after.is_some() {
            format!("where ({}) {} ({})", columns.join(", "), rows::operator(">", table.key_columns()), bounds.join(", "))
        } else {
            String::new()
        };
        let sql = format!(
            "select {} from {} t {beyond} order by {} limit $1::int8",
            rows::select_key(&table),
            quote_table(&table.name),
            columns.join(", ")
        );
        let after = rows::key_columns(&table, after.map(std::slice::from_ref).unwrap_or_default())?;
        let after: Vec<_> = after.iter().flatten().map(super::value::Param).collect();
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&limit];
        params.extend(after.iter().map(|part| part as &(dyn ToSql + Sync)));
        let answers = self.reader.conn().await?.query(&sql, &params).await?;
        let key = |answer| {
            rows::read_key(answer, 0, &table).map_err(|why| Error::new(Kind::Rejected, format!("{}: {why}", table.name)))
        };
        answers.iter().map(key).collect()
    }

    async fn count(&mut self, collection: usize) -> Result<u64> {
        let name = quote_table(&self.collection(collection)?.table.name);
        let estimate = "select coalesce(sum(greatest(c.reltuples, 0)), 0)::int8 from pg_catalog.pg_class c \
             where c.oid = $1::text::pg_catalog.regclass or c.oid in (select relid from pg_catalog.pg_partition_tree($1::text::pg_catalog.regclass))";
        let rows = self.reader.conn().await?.query(estimate, &[&name]).await?;
        let mut count: i64 = rows.first().map_or(0, |row| row.get(0));
        if count < COUNT_MAX {
            let exact = format!("select count(*) from (select from {name} limit {COUNT_MAX}) t");
            count = self.reader.conn().await?.query(&exact, &[]).await?.first().map_or(0, |row| row.get(0));
        }
        Ok(u64::try_from(count).unwrap_or_default())
    }
}
