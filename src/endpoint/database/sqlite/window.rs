//! A moment of the file: the entries and their end are of one short transaction, the rows of later
//! ones, so that an open reader never makes the application wait (A71). What happened in between is
//! answered by `unread`, which is asked after the rows were fetched.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;

use super::consumer;
use super::log::{self, Log};
use super::rows::{self, SCAN_ROWS, Search};
use super::session::Pool;
use crate::endpoint::{Fetched, ReadReceipt, Room, Tracked, Unread, Window};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Entry, Key, KeyBytes, Normal, Position, Value};

pub(super) struct SqliteWindow {
    pool: Arc<Pool>,
    collections: Vec<Collection>,
    entries: Vec<Entry>,
    more: bool,
    positions: Vec<Position>,
}

pub(super) async fn open(pool: &Arc<Pool>, tracked: &[Tracked], limit: usize, writer: Option<String>) -> Result<SqliteWindow> {
    let collections = tracked.iter().map(|tracked| tracked.collection.clone()).collect();
    let tracked = tracked.to_vec();
    let read = move |connection: &Connection| read_logs(connection, &tracked, limit, writer.as_deref());
    let (entries, positions, more) = pool.connect().await?.read(read).await?;
    Ok(SqliteWindow { pool: Arc::clone(pool), collections, entries, more, positions })
}

type Logs = (Vec<Entry>, Vec<Position>, bool);

fn read_logs(connection: &Connection, tracked: &[Tracked], limit: usize, writer: Option<&str>) -> Result<Logs> {
    let mut places = Vec::with_capacity(tracked.len());
    for one in tracked {
        let table = &one.collection.table;
        let log = Log::of(connection, &table.name)?;
        let since = one.since.as_ref().map_or(Ok(log.end), |position| log.place(&table.name, position))?;
        if since < consumer::pruned(connection, &table.name)? {
            let message = format!("entries of {} that were not read are removed from its change log", table.name);
            return Err(Error::new(Kind::Tracking, message).hint("twinrow check"));
        }
        places.push((log, since));
    }
    let waiting: Vec<usize> = places.iter().map(|(log, since)| usize::try_from(log.end - since).unwrap_or(usize::MAX)).collect();
    let (mut entries, mut positions, mut more) = (Vec::new(), Vec::new(), false);
    for (i, (limit, (log, since))) in shares(limit, &waiting).into_iter().zip(&places).enumerate() {
        if limit == 0 {
            positions.push(log.position(*since));
            more |= waiting[i] > 0;
            continue;
        }
        let read = log::read(connection, i, &tracked[i], (log, *since), limit, writer)?;
        entries.extend(read.entries);
        positions.push(log.position(read.upto));
        more |= read.more;
    }
    Ok((entries, positions, more))
}

/// How many entries each log may give: a busy one does not keep the others waiting.
fn shares(limit: usize, waiting: &[usize]) -> Vec<usize> {
    let fair = limit.div_ceil(waiting.len().max(1)).max(1);
    let mut shares: Vec<usize> = waiting.iter().map(|waiting| fair.min(*waiting)).collect();
    let mut left = limit.saturating_sub(shares.iter().sum());
    for (share, waiting) in shares.iter_mut().zip(waiting) {
        let extra = left.min(waiting - *share);
        *share += extra;
        left -= extra;
    }
    shares
}

impl SqliteWindow {
    async fn read<R: Send + 'static>(
        &self,
        collection: usize,
        work: impl FnOnce(&Connection, &Collection) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let collection = self.collections[collection].clone();
        self.pool.connect().await?.read(move |connection| work(connection, &collection)).await
    }
}

#[async_trait]
impl Window for SqliteWindow {
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
        let keys = keys.to_vec();
        self.read(collection, move |connection, collection| rows::fetch(connection, collection, &keys, Room::of_a_fetch())).await
    }

    async fn spelled(&mut self, collection: usize, keys: &[Key]) -> Result<Vec<Option<Key>>> {
        let keys = keys.to_vec();
        self.read(collection, move |connection, collection| rows::spelled(connection, &collection.table, &keys)).await
    }

    async fn unread(&mut self, collection: usize, keys: &[Key], which: Unread) -> Result<HashSet<KeyBytes>> {
        let (keys, position) = (rows::set(keys), self.positions[collection].clone());
        let named = move |connection: &Connection, collection: &Collection| {
            let log = Log::of(connection, &collection.table.name)?;
            let upto = log.place(&collection.table.name, &position)?;
            log::structural(connection, &collection.table, &log, upto, &keys, which, None)
        };
        self.read(collection, named).await
    }

    async fn find(&mut self, collection: usize, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>> {
        let mut search = Search::new(&self.collections[collection], rule, values);
        let lease = self.pool.connect().await?;
        loop {
            let step = move |connection: &Connection| {
                let done = search.step(connection, SCAN_ROWS)?;
                Ok((done, search))
            };
            let (done, advanced) = lease.read(step).await?;
            if done {
                return Ok(advanced.found());
            }
            search = advanced;
        }
    }

    async fn page(&mut self, collection: usize, after: Option<&Key>, limit: usize) -> Result<Vec<Key>> {
        let after = after.cloned();
        let page = move |connection: &Connection, collection: &Collection| {
            rows::page(connection, &collection.table, after.as_ref(), limit)
        };
        self.read(collection, page).await
    }

    async fn count(&mut self, collection: usize) -> Result<u64> {
        self.read(collection, |connection, collection| rows::count(connection, &collection.table)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_log_leaves_room_for_others() {
        assert_eq!(shares(10, &[100, 3]), [7, 3]);
        assert_eq!(shares(10, &[100, 100]), [5, 5]);
        assert_eq!(shares(10, &[0, 4, 0]), [0, 4, 0]);
        assert_eq!(shares(1, &[5, 5, 5]), [1, 1, 1]);
        assert_eq!(shares(10, &[]), Vec::<usize>::new());
    }
}
