//! One moment of a database: what its logs say, and the rows as they are then.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;

use super::catalog::{qualified, schema_of};
use super::connection::{Connection, field_optional};
use super::find;
use super::log::{self, Log, Logged, Named, Stand, What};
use super::{cascaded, replaced, rows};
use crate::endpoint::{Fetched, ReadReceipt, Room, Tracked, Unread, Window};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Entry, Key, KeyBytes, Normal, Op, Pos, Position, Value};

/// Below this many rows, by the server's estimate, they are counted.
const COUNT_MAX: u64 = 100_000;

/// A read-only transaction with one snapshot for log and rows (rule 2).
pub(super) struct Snapshot {
    connection: Connection,
    sides: Vec<Side>,
    entries: Vec<Entry>,
    more: bool,
}

/// One collection of the window.
struct Side {
    collection: Collection,
    log: Log,
    /// Where its consumer stands after this window; `None`: the log could not be read just now.
    stand: Option<Stand>,
    since: Option<Position>,
    /// Read directly, and to be removed when acknowledged.
    read: Vec<i64>,
    /// The last row of the log that was read; all before it were.
    boundary: i64,
    /// Rows after it that were read: they belong to rows before it.
    beyond: HashSet<i64>,
    /// The last number of the queue that was read.
    queue: i64,
    /// The log, or the queue, has more.
    log_more: bool,
    queue_more: bool,
    direct: bool,
}

impl Snapshot {
    pub(super) async fn open(
        mut connection: Connection,
        collections: &[Tracked],
        limit: usize,
        own: &HashSet<String>,
    ) -> Result<Snapshot> {
        let mut sides = sides(&connection, collections)?;
        let shared = log::consumers(&mut connection, &logs(&sides)).await?;
        let several = sides.iter().zip(&shared).filter(|(_, found)| found.0 > 1).map(|(side, _)| (&side.log.name, &side.log));
        // Two links may be on one table; its log is drained once.
        let several: Vec<&Log> = several.collect::<BTreeMap<_, _>>().into_values().collect();
        if !several.is_empty() {
            match log::drain(&mut connection, &several).await {
                // Someone else drains, or holds a log's table: what is in the queue can be read all the same.
                Err(error) if error.kind() == Kind::Retry => connection.rollback().await?,
                other => other?,
            }
        }
        connection.run("set transaction isolation level repeatable read").await?;
        connection.start("with consistent snapshot, read only").await?;
        let shared = log::consumers(&mut connection, &logs(&sides)).await?;
        for (side, (consumers, _)) in sides.iter_mut().zip(&shared) {
            side.direct = *consumers <= 1;
        }
        let queued = shared.iter().any(|(_, queued)| *queued);
        let mut read = if queued { read_queue(&mut connection, &mut sides, limit).await? } else { Vec::new() };
        let rest = limit.saturating_sub(read.len()).max(1);
        read.extend(read_logs(&mut connection, &mut sides, rest).await?);
        let more = sides.iter().any(|side| side.log_more && side.direct || side.queue_more);
        replaced::mark(&mut read, |at| sides.get(at).is_some_and(|side| side.log.generated));
        let mut snapshot = Snapshot { connection, sides, entries: Vec::new(), more };
        snapshot.settle(&mut read).await?;
        snapshot.entries = entries(read, own);
        Ok(snapshot)
    }

    /// Where only the rows themselves say whether they went with their parents, they are asked. About a key of which something is
    /// unread they tell nothing: then what was written down is taken as it is.
    async fn settle(&mut self, read: &mut [Logged]) -> Result<()> {
        let mut by_log: BTreeMap<usize, Vec<(usize, Key)>> = BTreeMap::new();
        for (place, log, key) in cascaded::open(read) {
            by_log.entry(log).or_default().push((place, key));
        }
        for (log, hints) in by_log {
            let keys: Vec<Key> = hints.iter().map(|(_, key)| key.clone()).collect();
            let unread = self.unread(log, &keys, Unread::Births).await?;
            let table = self.side(log)?.collection.table.clone();
            let there = rows::existing(&mut self.connection, &table, &keys, "").await?;
            for ((place, key), there) in hints.iter().zip(there) {
                if there && !unread.contains(&key.encode()) {
                    cascaded::refute(&mut read[*place]);
                }
            }
        }
        Ok(())
    }

    fn side(&self, at: usize) -> Result<&Side> {
        self.sides.get(at).ok_or_else(|| Error::new(Kind::Internal, "a collection the window was not opened with"))
    }
}

fn sides(connection: &Connection, collections: &[Tracked]) -> Result<Vec<Side>> {
    let side = |tracked: &Tracked| {
        Ok(Side {
            collection: tracked.collection.clone(),
            log: Log::of(&tracked.collection.table, &connection.server.database),
            stand: tracked.since.as_ref().map(Stand::parse).transpose()?,
            since: tracked.since.clone(),
            read: Vec::new(),
            // Below the first row, which says which log it is.
            boundary: -1,
            beyond: HashSet::new(),
            queue: 0,
            log_more: false,
            queue_more: false,
            direct: true,
        })
    };
    collections.iter().map(side).collect()
}

fn logs(sides: &[Side]) -> Vec<&Log> {
    sides.iter().map(|side| &side.log).collect()
}

/// What was drained: for several consumers, and what is left over of such times.
async fn read_queue(connection: &mut Connection, sides: &mut [Side], limit: usize) -> Result<Vec<Logged>> {
    let asked: Vec<(usize, &Log, i64)> =
        sides.iter().enumerate().filter_map(|(i, side)| Some((i, &side.log, side.stand.as_ref()?.n))).collect();
    let limit = limit.max(1);
    // Two collections of one table get a copy each of a number: it is read for both or for none.
    let mut read = log::read_queue(connection, &asked, limit + asked.len()).await?;
    let more = match read.get(limit - 1).and_then(|logged| logged.n) {
        Some(last) => {
            let (before, kept) = (read.len(), read.partition_point(|logged| logged.n <= Some(last)));
            read.truncate(kept);
            kept < before
        }
        None => false,
    };
    let last = read.last().and_then(|logged| logged.n);
    for side in sides.iter_mut().filter(|side| side.since.is_some()) {
        side.queue_more = more;
        if let Some(stand) = &mut side.stand {
            // The queue is read in the order of its numbers: up to the last one, nothing of this log is left.
            stand.n = stand.n.max(last.unwrap_or(stand.n));
            side.queue = stand.n;
        }
    }
    Ok(read)
}

/// The logs themselves: an equal share for each, and what some leave over for the others, so that a busy table
/// neither starves the rest nor waits for them. The first row of each says which log it is.
async fn read_logs(connection: &mut Connection, sides: &mut [Side], limit: usize) -> Result<Vec<Logged>> {
    let mut all = Vec::new();
    let mut asked: Vec<usize> = (0..sides.len()).collect();
    let mut rest = limit;
    for round in 0..2 {
        let share = (rest / asked.len().max(1)).max(1);
        // One for the mark at the beginning, one to see whether there is more.
        let read = read_all(connection, sides, &asked, share + if round == 0 { 2 } else { 1 }).await?;
        let mut by_side: HashMap<usize, Vec<Logged>> = HashMap::new();
        for logged in read {
            by_side.entry(logged.log).or_default().push(logged);
        }
        let mut full = Vec::new();
        for at in asked {
            let rows = by_side.remove(&at).unwrap_or_default();
            let Some(side) = sides.get_mut(at) else { continue };
            if side.stand.is_none() && side.since.is_some() {
                continue;
            }
            let kept = keep(side, rows, share, round == 0)?;
            rest = rest.saturating_sub(kept.len());
            if side.log_more {
                full.push(at);
            }
            all.extend(kept);
        }
        asked = full;
        if asked.is_empty() || rest == 0 {
            break;
        }
    }
    for (at, side) in sides.iter_mut().enumerate().filter(|(_, side)| side.direct && side.log_more) {
        all.extend(halves(connection, at, side, &all).await?);
    }
    Ok(all)
}

/// What a window that ends within a REPLACE lacks of it.
async fn halves(connection: &mut Connection, at: usize, side: &mut Side, all: &[Logged]) -> Result<Vec<Logged>> {
    let mut rows: Vec<Logged> = all.iter().filter(|logged| logged.log == at).cloned().collect();
    let kept = rows.len();
    let added = replaced::complete(connection, &side.log, &mut rows, side.boundary).await?;
    side.read.extend(&added);
    side.beyond.extend(added);
    Ok(rows.split_off(kept))
}

/// What of a log's rows belongs to this window.
fn keep(side: &mut Side, rows: Vec<Logged>, share: usize, first: bool) -> Result<Vec<Logged>> {
    let mut rows = rows.into_iter().peekable();
    if first {
        let mark = rows.next_if(|logged| matches!(logged.what, What::Epoch)).ok_or_else(|| log::emptied(&side.log))?;
        let epoch = mark.origin.unwrap_or_default();
        side.boundary = mark.seq;
        match &side.stand {
            Some(stand) if stand.epoch != epoch => return Err(log::emptied(&side.log)),
            Some(_) => {}
            // Begin here.
            None => {
                side.stand = Some(Stand { epoch, n: 0 });
                side.direct = false;
            }
        }
    }
    let mut kept: Vec<Logged> = rows.collect();
    side.log_more = kept.len() > share;
    kept.truncate(share);
    if !side.direct {
        // Of a log with several consumers only what is in the queue is read.
        side.log_more = !kept.is_empty();
        return Ok(Vec::new());
    }
    side.read.extend(kept.iter().map(|logged| logged.seq));
    side.boundary = kept.last().map_or(side.boundary, |logged| logged.seq);
    Ok(kept)
}

/// All logs in one statement; where one of them is locked, one by one, without it: `LOCK TABLES` on a tracked
/// table locks its log too, and must not stop the others (A47).
async fn read_all(connection: &mut Connection, sides: &mut [Side], asked: &[usize], most: usize) -> Result<Vec<Logged>> {
    let logs: Vec<(usize, Log, i64)> =
        asked.iter().filter_map(|at| sides.get(*at).map(|side| (*at, side.log.clone(), side.boundary))).collect();
    let together: Vec<(usize, &Log, i64)> = logs.iter().map(|(at, log, after)| (*at, log, *after)).collect();
    match log::read(connection, &together, most).await {
        Err(error) if error.kind() == Kind::Retry => {}
        other => return other,
    }
    let mut all = Vec::new();
    for one in together {
        match log::read(connection, &[one], most).await {
            Ok(read) => all.extend(read),
            Err(error) if error.kind() == Kind::Retry => {
                if let Some(side) = sides.get_mut(one.0) {
                    side.stand = None;
                    side.log_more = true;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Log rows as entries, the collections one after the other, each in the order of its log.
fn entries(read: Vec<Logged>, own: &HashSet<String>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::with_capacity(read.len());
    for logged in read {
        let (op, key) = match logged.what {
            What::Insert(new) => (Op::Insert, new),
            What::Update(old, new) if old.encode() == new.encode() => (Op::Update, new),
            What::Update(old, new) => (Op::Rename { to: new }, old),
            What::Delete(old) => (Op::Delete, old),
            What::Replace(new) => (Op::Replace, new),
            What::PutBack(new) => (Op::PutBack, new),
            What::Anything => (Op::Truncate, Key(Vec::new())),
            What::Epoch => continue,
        };
        let own = logged.origin.as_ref().is_some_and(|origin| own.contains(origin));
        entries.push(Entry { collection: logged.log, op, key, pos: Pos(logged.seq), transaction: None, own });
    }
    entries
}

#[async_trait]
impl Window for Snapshot {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn more(&self) -> bool {
        self.more
    }

    fn position(&self, collection: usize) -> Position {
        let side = self.sides.get(collection);
        side.and_then(|side| side.stand.as_ref().map(Stand::position).or_else(|| side.since.clone())).unwrap_or_default()
    }

    fn receipt(&self, collection: usize) -> ReadReceipt {
        ReadReceipt(self.sides.get(collection).map(|side| side.read.clone()).unwrap_or_default())
    }

    async fn fetch(&mut self, collection: usize, keys: &[Key]) -> Result<Vec<Fetched>> {
        let of = self.side(collection)?.collection.clone();
        let mut room = Room::of_a_fetch();
        let found = rows::by_key(&mut self.connection, &of, keys, "", &mut room).await?;
        // What had no room and what is not there look the same.
        let told = |found: Option<rows::Decoded>| if found.is_none() && room.is_full() { Fetched::Later } else { fetched(found) };
        Ok(found.into_iter().map(told).collect())
    }

    async fn spelled(&mut self, collection: usize, keys: &[Key]) -> Result<Vec<Option<Key>>> {
        let table = self.side(collection)?.collection.table.clone();
        rows::spelled(&mut self.connection, &table, keys).await
    }

    /// Reads what is in the log after the window's own entries: nothing, unless there is more than its limit.
    async fn unread(&mut self, collection: usize, keys: &[Key], which: Unread) -> Result<HashSet<KeyBytes>> {
        let side = self.side(collection)?;
        let (log, boundary, beyond, queue) = (side.log.clone(), side.boundary, side.beyond.clone(), side.queue);
        let (in_log, in_queue, locked) = (side.log_more, side.queue_more, side.stand.is_none());
        let asked: HashSet<KeyBytes> = keys.iter().map(Key::encode).collect();
        if locked {
            return Ok(asked);
        }
        let mut unread = HashSet::new();
        let mut note = |named: Named<'_>| match named {
            Named::Keys(keys) => unread.extend(keys.iter().filter_map(|key| asked.get(&key.encode()).cloned())),
            Named::All => unread.extend(asked.iter().cloned()),
        };
        if in_queue {
            for logged in log::read_queue(&mut self.connection, &[(0, &log, queue)], usize::MAX >> 1).await? {
                note(logged.what.moves(which));
            }
        }
        if in_log {
            log::unread(&mut self.connection, &log, (boundary, &beyond), which, note).await?;
        }
        Ok(unread)
    }

    async fn find(&mut self, collection: usize, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>> {
        let of = self.side(collection)?.collection.clone();
        find::by_match(&mut self.connection, &of, rule, values).await
    }

    async fn page(&mut self, collection: usize, after: Option<&Key>, limit: usize) -> Result<Vec<Key>> {
        let table = self.side(collection)?.collection.table.clone();
        rows::page(&mut self.connection, &table, after, limit).await
    }

    async fn count(&mut self, collection: usize) -> Result<u64> {
        let name = self.side(collection)?.collection.table.name.clone();
        let database = self.connection.server.database.clone();
        let sql = sql!("catalog_rows");
        let params = vec![schema_of(&name, &database).into(), name.name.as_str().into()];
        let about = first_number(&self.connection.rows(sql, params).await?)?;
        if about > COUNT_MAX {
            return Ok(about);
        }
        let sql = format!("select count(*) from {}", qualified(&name, &database));
        first_number(&self.connection.rows(&sql, Vec::new()).await?)
    }
}

fn first_number(rows: &[mysql_async::Row]) -> Result<u64> {
    let text = rows.first().map(|row| field_optional(row, 0)).transpose()?.flatten();
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

pub(super) fn fetched(found: Option<rows::Decoded>) -> Fetched {
    match found {
        None => Fetched::Absent,
        Some(Ok(row)) => Fetched::Row(row, None),
        Some(Err(cause)) => Fetched::Unreadable(cause),
    }
}
