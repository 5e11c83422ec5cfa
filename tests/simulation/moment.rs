//! One moment of a database in memory.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;
use twinrow::endpoint::{CANDIDATES_MAX, Fetched, ReadReceipt, Tracked, Unread, Window};
use twinrow::error::{Error, Kind, Result};
use twinrow::model::{Collection, Entry, Key, KeyBytes, Normal, Op, Pos, Position, Row, Value};

use crate::database::{Database, Did, Logged, Seen};
use crate::endpoint::{Memory, table_of};
use crate::keys::{self, column, int, places, project};

/// A position, as the state keeps it: which log it is of, and how far that was read.
pub fn position(log: i64, seen: Seen) -> Position {
    Position(format!("{log}:{}:{}:{}", seen.whole, seen.part, seen.lsn))
}

/// What [`position`] says, if it is of this log.
pub fn seen(position: &Position, log: i64) -> Result<Seen> {
    let parts: Vec<i64> = position.0.split(':').filter_map(|part| part.parse().ok()).collect();
    match parts.as_slice() {
        [of, whole, part, lsn] if *of == log => Ok(Seen { whole: *whole, part: *part, lsn: *lsn }),
        _ => Err(Error::new(Kind::Tracking, "the log is not the one the position was taken on")),
    }
}

/// A table as a link sees it.
struct View {
    table: usize,
    rows: BTreeMap<i64, Row>,
    places: Vec<usize>,
}

/// One moment of a database.
pub struct Moment {
    endpoint: Memory,
    /// So many rows have room in memory at a time.
    pub room: usize,
    tables: Vec<View>,
    pub entries: Vec<Entry>,
    pub more: bool,
    composite: bool,
    positions: Vec<Position>,
    /// Per collection: keys that unread entries move, those they insert, and those they only update.
    unread: Vec<[HashSet<KeyBytes>; 3]>,
    /// Collections that were emptied, as the unread log says.
    unread_all: BTreeSet<usize>,
}

impl Moment {
    pub fn open(endpoint: Memory, database: &Database, collections: &[Tracked], limit: usize) -> Result<Moment> {
        let mut moment = Moment {
            endpoint,
            room: usize::MAX,
            tables: Vec::new(),
            entries: Vec::new(),
            more: false,
            composite: database.composite,
            positions: Vec::new(),
            unread: Vec::new(),
            unread_all: BTreeSet::new(),
        };
        for (at, tracked) in collections.iter().enumerate() {
            let table = table_of(&tracked.collection.table.name);
            moment.tables.push(View { table, rows: database.tables[table].rows.clone(), places: places(&tracked.collection) });
            moment.read(database, at, table, tracked.since.as_ref(), limit)?;
        }
        moment.entries.sort_by_key(|entry| entry.pos);
        Ok(moment)
    }

    fn read(&mut self, database: &Database, at: usize, table: usize, since: Option<&Position>, limit: usize) -> Result<()> {
        let now = database.commits;
        let log = database.tables[table].log;
        let seen = since.map_or(Ok(Seen { whole: now, part: now, lsn: 0 }), |since| seen(since, log))?;
        if let Some(entry) = database.pruned.iter().find(|entry| entry.table == table && !seen.covers(entry)) {
            return Err(Error::new(Kind::Tracking, format!("{entry:?} was removed before it was read, at {seen:?}")));
        }
        let mut unseen: Vec<&Logged> = database.log.iter().filter(|entry| entry.table == table && !seen.covers(entry)).collect();
        unseen.sort_by_key(|entry| entry.lsn);
        // Inside a snapshot that was begun, it is finished first.
        let begun = unseen.iter().any(|entry| entry.commit <= seen.part);
        let (whole, part) = if begun { (seen.whole, seen.part) } else { (seen.part, now) };
        let readable: Vec<&Logged> = unseen.iter().copied().filter(|entry| entry.commit <= part).collect();
        let cut = &readable[..readable.len().min(limit)];
        let until = if cut.len() < readable.len() {
            Seen { whole, part, lsn: cut.last().map_or(seen.lsn, |entry| entry.lsn) }
        } else {
            Seen { whole: part, part, lsn: 0 }
        };
        self.positions.push(position(log, until));
        self.entries.extend(cut.iter().map(|entry| named(at, entry, database, self.endpoint.integration)));
        let [mut moves, mut births, mut updates] = [HashSet::new(), HashSet::new(), HashSet::new()];
        for entry in unseen.iter().filter(|entry| !until.covers(entry)) {
            self.more = true;
            let named =
                entry.did.old().into_iter().chain(entry.did.key_after()).map(|key| keys::named(key, database.composite).encode());
            match entry.did {
                Did::Truncate | Did::Mark => {
                    self.unread_all.insert(self.unread.len());
                }
                Did::Delete(_) | Did::Rename(..) => moves.extend(named),
                Did::Insert(_) => births.extend(named),
                Did::Update(_) => updates.extend(named),
            }
        }
        self.unread.push([moves, births, updates]);
        Ok(())
    }
}

/// An entry in the contract's words; delete and insert of one key in one transaction are one thing.
fn named(collection: usize, entry: &Logged, database: &Database, reader: usize) -> Entry {
    let all = || database.log.iter().chain(&database.pruned).filter(|other| other.xid == entry.xid && other.table == entry.table);
    let back = |key: i64| all().any(|other| other.lsn > entry.lsn && other.did == Did::Insert(key));
    let replaces = |key: i64| all().any(|other| other.lsn < entry.lsn && other.did == Did::Delete(key));
    let (op, key) = match entry.did {
        Did::Insert(key) if replaces(key) => (Op::PutBack, key),
        Did::Insert(key) => (Op::Insert, key),
        Did::Update(key) => (Op::Update, key),
        Did::Delete(key) if back(key) => (Op::Update, key),
        Did::Delete(key) => (Op::Delete, key),
        Did::Rename(key, to) => (Op::Rename { to: keys::named(to, database.composite) }, key),
        Did::Truncate | Did::Mark => (Op::Truncate, 0),
    };
    let key = if op == Op::Truncate { Key(Vec::new()) } else { keys::named(key, database.composite) };
    Entry { collection, op, key, pos: Pos(entry.lsn), transaction: Some(entry.xid), own: entry.own == Some(reader) }
}

#[async_trait]
impl Window for Moment {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn more(&self) -> bool {
        self.more
    }

    fn position(&self, collection: usize) -> Position {
        self.positions[collection].clone()
    }

    fn receipt(&self, _collection: usize) -> ReadReceipt {
        ReadReceipt::default()
    }

    async fn fetch(&mut self, collection: usize, keys: &[Key]) -> Result<Vec<Fetched>> {
        let View { table, rows, places } = &self.tables[collection];
        self.endpoint.read(*table).await?;
        let fetched = |key| rows.get(&int(key)).map_or(Fetched::Absent, |row| Fetched::Row(project(row, places), None));
        let there: Vec<Fetched> = keys.iter().take(self.room).map(fetched).collect();
        Ok(there.into_iter().chain(keys.iter().skip(self.room).map(|_| Fetched::Later)).collect())
    }

    async fn unread(&mut self, collection: usize, keys: &[Key], which: Unread) -> Result<HashSet<KeyBytes>> {
        self.endpoint.call().await?;
        let kinds = match which {
            Unread::Moves => 1,
            Unread::Births => 2,
            Unread::Writes => 3,
        };
        let emptied = self.unread_all.contains(&collection);
        let named = |key: &KeyBytes| emptied || self.unread[collection][..kinds].iter().any(|kind| kind.contains(key));
        Ok(keys.iter().map(Key::encode).filter(named).collect())
    }

    async fn find(&mut self, collection: usize, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>> {
        let View { table, rows, places } = &self.tables[collection];
        self.endpoint.read(*table).await?;
        Ok(values.iter().map(|values| matching((rows, self.composite), places, rule, values)).collect())
    }

    async fn page(&mut self, collection: usize, after: Option<&Key>, limit: usize) -> Result<Vec<Key>> {
        self.endpoint.read(self.tables[collection].table).await?;
        let after = after.map_or(i64::MIN, int);
        let keys = self.tables[collection].rows.keys().filter(|key| **key > after);
        Ok(keys.take(limit).map(|key| keys::named(*key, self.composite)).collect())
    }

    async fn count(&mut self, collection: usize) -> Result<u64> {
        Ok(self.tables[collection].rows.len() as u64)
    }
}

/// The keys of the rows that a match rule finds; `places`: where the fields of the link stand in a row.
pub fn matching(
    (rows, composite): (&BTreeMap<i64, Row>, bool),
    places: &[usize],
    rule: &[(usize, Normal)],
    values: &[Value],
) -> Vec<Key> {
    let same =
        |row: &Row| rule.iter().zip(values).all(|((field, _), value)| !value.is_null() && column(row, places[*field]) == *value);
    rows.iter().filter(|(_, row)| same(row)).take(CANDIDATES_MAX + 1).map(|(key, _)| keys::named(*key, composite)).collect()
}

/// How many entries of a log come after a position.
pub fn waiting(database: &Database, collection: &Collection, since: &Position) -> Result<u64> {
    let table = table_of(&collection.table.name);
    let seen = seen(since, database.tables[table].log)?;
    Ok(database.log.iter().filter(|entry| entry.table == table && !seen.covers(entry)).count() as u64)
}
