//! A moment of an app: its feed of changes since a revision, with the records as the feed has them.
//!
//! A revision is exact: stamps are given once and grow. What is read later than the feed (other records,
//! pages of a scan) may be newer; `unread` reads the feed on and names what has changed since.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::client::{Client, id_of, key_of};
use super::feed::{self, Feed, revision};
use super::list::list;
use super::search::Search;
use crate::endpoint::{Fetched, ReadReceipt, Tracked, Unread, Window};
use crate::error::Result;
use crate::model::{Entry, Key, KeyBytes, Normal, Position, Row, Value, normalised};

pub(super) struct AppWindow {
    client: Arc<Client>,
    feeds: Vec<Feed>,
    entries: Vec<Entry>,
}

pub(super) async fn open(client: &Arc<Client>, tracked: &[Tracked], limit: usize) -> Result<AppWindow> {
    let mut window = AppWindow { client: Arc::clone(client), feeds: Vec::new(), entries: Vec::new() };
    let share = limit.div_ceil(tracked.len().max(1));
    for (at, one) in tracked.iter().enumerate() {
        let object = &one.collection.table.name.name;
        let feed = feed::read(client, at, one, share).await.map_err(|error| error.context(object.clone()));
        let (feed, entries) = feed?;
        window.feeds.push(feed);
        window.entries.extend(entries);
    }
    Ok(window)
}

impl AppWindow {
    /// Reads the feed on to what is there now.
    async fn read_on(&mut self, collection: usize) -> Result<bool> {
        let feed = &mut self.feeds[collection];
        let object = feed.collection.table.name.name.clone();
        let now = revision(&self.client, &object).await?;
        if now.revision < feed.read_on {
            return Ok(false);
        }
        if now.revision > feed.read_on {
            for change in feed::changes(&self.client, &object, feed.read_on, usize::MAX).await?.records {
                feed.later.insert(key_of(&change.id).encode(), feed.row(&self.client, &change));
                feed.read_on = change.stamp;
            }
        }
        Ok(true)
    }
}

#[async_trait]
impl Window for AppWindow {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn more(&self) -> bool {
        self.feeds.iter().any(|feed| feed.more)
    }

    fn position(&self, collection: usize) -> Position {
        self.feeds[collection].mark.position()
    }

    fn receipt(&self, _collection: usize) -> ReadReceipt {
        ReadReceipt::default()
    }

    async fn fetch(&mut self, collection: usize, keys: &[Key]) -> Result<Vec<Fetched>> {
        let feed = &self.feeds[collection];
        let known = |key: &Key| {
            let key = key.encode();
            feed.rows.get(&key).or_else(|| feed.listed.get(&key)).cloned()
        };
        let mut found: Vec<Option<Fetched>> = keys.iter().map(known).collect();
        let missing: Vec<usize> = (0..keys.len()).filter(|at| found[*at].is_none()).collect();
        let ids: Vec<String> = missing.iter().map(|at| id_of(&keys[*at])).collect();
        let fetched = self.client.fetch(&feed.collection, &feed.mapped, &ids).await?;
        for (at, row) in missing.into_iter().zip(fetched) {
            found[at] = Some(row);
        }
        Ok(found.into_iter().map(|found| found.unwrap_or(Fetched::Absent)).collect())
    }

    // (A feed names what changed, of whatever kind.)
    async fn unread(&mut self, collection: usize, keys: &[Key], _which: Unread) -> Result<HashSet<KeyBytes>> {
        // What a full feed has not given yet may name any of them.
        let whole = !self.feeds[collection].more && self.read_on(collection).await?;
        let feed = &self.feeds[collection];
        Ok(keys.iter().map(Key::encode).filter(|key| !whole || feed.later.contains_key(key)).collect())
    }

    async fn find(&mut self, collection: usize, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>> {
        let feed = &self.feeds[collection];
        Search::new(&self.client, &feed.collection, &feed.mapped, rule, values).run().await
    }

    async fn appeared(&mut self, collection: usize, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<bool>> {
        // Cheaper than a search, and exact: whatever came up since stands in the feed.
        if self.feeds[collection].more || !self.read_on(collection).await? {
            let found = self.find(collection, rule, values).await?;
            return Ok(found.iter().map(|found| !found.is_empty()).collect());
        }
        let matches = |row: &Row| normalised(rule, &rule.iter().map(|(at, _)| row[*at].clone()).collect::<Vec<Value>>());
        let later: HashSet<Vec<u8>> = self.feeds[collection].later.values().flatten().filter_map(matches).collect();
        let came = |values: &Vec<Value>| normalised(rule, values).is_some_and(|normal| later.contains(&normal));
        Ok(values.iter().map(came).collect())
    }

    async fn page(&mut self, collection: usize, after: Option<&Key>, limit: usize) -> Result<Vec<Key>> {
        let feed = &mut self.feeds[collection];
        let after = after.map(id_of).unwrap_or_default();
        let mut records = list(&self.client, &feed.collection.table.name.name, &after, limit).await?;
        records.truncate(limit);
        feed.listed.clear();
        let mut keys = Vec::with_capacity(records.len());
        for (id, record) in records {
            let key = key_of(&id);
            feed.listed.insert(key.encode(), self.client.parsed(&id, &record, &feed.mapped));
            keys.push(key);
        }
        Ok(keys)
    }

    async fn count(&mut self, collection: usize) -> Result<u64> {
        Ok(revision(&self.client, &self.feeds[collection].collection.table.name.name).await?.records)
    }
}
