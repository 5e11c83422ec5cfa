//! An app's feed of changes, and how far it was read.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::client::{Client, key_of, shapeless};
use super::http::{Answer, Call};
use super::record::Mapped;
use super::template::Place;
use crate::endpoint::{Fetched, Tracked};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Entry, Key, KeyBytes, Op, Pos, Position, Row};

/// How far a feed was read: the collection's revision, how many records it had then, and the witness: the
/// record whose change made that revision. It must be there later, of this version or a newer one: else this
/// is not the app we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub revision: i64,
    pub records: u64,
    /// Its id; empty if it was deleted, or not known.
    witness: String,
}

impl Mark {
    pub fn position(&self) -> Position {
        Position(format!("{}:{}:{}", self.revision, self.records, self.witness))
    }

    fn parse(position: &Position) -> Result<Mark> {
        let mut parts = position.0.splitn(3, ':');
        let mut part = || parts.next();
        let parsed = (|| {
            let (revision, records) = (part()?.parse().ok()?, part()?.parse().ok()?);
            Some(Mark { revision, records, witness: part()?.to_owned() })
        })();
        parsed.ok_or_else(|| Error::new(Kind::Tracking, "the cursor is not one of an app's").hint("twinrow check"))
    }
}

/// The revision of an object's records now.
///
/// # Errors
/// As the app says; [`Kind::Schema`] if there is no such collection.
pub(super) async fn revision(client: &Client, object: &str) -> Result<Mark> {
    let how = &client.object().revision;
    let call = Call::new("HEAD", how.head.address(&[(Place::Path, &client.path(object))]));
    let answer = client.succeeded(client.http.read(&call).await?)?;
    let revision = number(&answer, &how.header).and_then(|revision| i64::try_from(revision).ok());
    match (revision, number(&answer, &how.count)) {
        (Some(revision), Some(records)) => Ok(Mark { revision, records, witness: String::new() }),
        _ => Err(shapeless()),
    }
}

/// A header that holds a number.
pub(super) fn number(answer: &Answer, header: &str) -> Option<u64> {
    answer.header(header)?.trim_matches('"').parse().ok()
}

/// One collection of a window.
pub(super) struct Feed {
    pub collection: Collection,
    pub mapped: Vec<Mapped>,
    /// Where it ends.
    pub mark: Mark,
    pub more: bool,
    /// What the feed gave.
    pub rows: HashMap<KeyBytes, Fetched>,
    /// What the last page of a scan gave.
    pub listed: HashMap<KeyBytes, Fetched>,
    /// What has changed after the window's end, as far as the feed was read on, and the row it has now, if it can be read.
    pub later: HashMap<KeyBytes, Option<Row>>,
    pub read_on: i64,
}

/// The changes since a position. Every revision must be accounted for: where the app has moved and does not
/// say by what, or has fewer records than it says it deleted, it shows us less than before, and the whole
/// collection is compared (I6, E11).
///
/// # Errors
/// [`Kind::Identity`] if it is not the app the position was taken at.
pub(super) async fn read(client: &Client, at: usize, tracked: &Tracked, limit: usize) -> Result<(Feed, Vec<Entry>)> {
    let object = &tracked.collection.table.name.name;
    let now = revision(client, object).await.map_err(|error| lost_sight(error, tracked))?;
    let mut feed = Feed {
        collection: tracked.collection.clone(),
        mapped: client.mapped(&tracked.collection)?,
        read_on: now.revision,
        mark: now.clone(),
        more: false,
        rows: HashMap::new(),
        listed: HashMap::new(),
        later: HashMap::new(),
    };
    let Some(since) = tracked.since.as_ref().map(Mark::parse).transpose()? else {
        let last = changes(client, object, now.revision - 1, 1).await?;
        let last = last.records.first().filter(|last| last.stamp == now.revision);
        feed.mark.witness = witness(last);
        return Ok((feed, Vec::new()));
    };
    if now.revision < since.revision {
        return Err(replaced());
    }
    if now.revision == since.revision {
        feed.mark.witness = since.witness;
        return Ok((feed, Vec::new()));
    }
    // From the witness on.
    let mut changes = changes(client, object, since.revision - 1, limit.saturating_add(1)).await?;
    if changes.records.first().is_some_and(|first| first.stamp == since.revision) {
        changes.records.remove(0);
    } else {
        check_witness(client, &feed, &since, &changes).await?;
    }
    let entries = feed.take(client, at, &since, &now, changes);
    Ok((feed, entries))
}

impl Feed {
    /// The row a change has left.
    pub fn row(&self, client: &Client, change: &Change) -> Option<Row> {
        match client.parsed(&change.id, &change.record, &self.mapped) {
            Fetched::Row(row, _) if !change.gone => Some(row),
            Fetched::Row(..) | Fetched::Absent | Fetched::Unreadable(_) | Fetched::Later => None,
        }
    }

    /// Entries and rows of the changes; and the mark they end at.
    fn take(&mut self, client: &Client, at: usize, since: &Mark, now: &Mark, changes: Changes) -> Vec<Entry> {
        let entry = |op, key, pos| Entry { collection: at, op, key, pos: Pos(pos), transaction: None, own: false };
        let mut entries = Vec::with_capacity(changes.records.len());
        let (mut deleted, mut deleted_later) = (0, 0);
        for change in &changes.records {
            let key = key_of(&change.id);
            if change.gone {
                deleted += 1;
                deleted_later += u64::from(change.stamp > now.revision);
                // Deleted while the pages were read: an earlier page has it as it was.
                self.rows.remove(&key.encode());
            } else {
                self.rows.insert(key.encode(), client.parsed(&change.id, &change.record, &self.mapped));
            }
            entries.push(entry(if change.gone { Op::Delete } else { Op::Update }, key, change.stamp));
        }
        let last = changes.records.last();
        let seen = last.map_or(since.revision, |last| last.stamp);
        self.more = changes.more;
        self.mark = if changes.more {
            Mark { revision: seen, records: since.records.saturating_sub(deleted), witness: witness(last) }
        } else {
            if seen < now.revision || now.records + deleted < since.records {
                let object = &self.collection.table.name.name;
                tracing::warn!(object, "the app's records are not what its changes say: they are compared whole");
                entries.push(entry(Op::Truncate, Key(Vec::new()), now.revision));
            }
            let last = last.filter(|last| last.stamp >= now.revision);
            let records = now.records.saturating_sub(deleted_later);
            Mark { revision: seen.max(now.revision), records, witness: witness(last) }
        };
        self.read_on = self.mark.revision;
        entries
    }
}

fn witness(last: Option<&Change>) -> String {
    last.filter(|last| !last.gone).map(|last| last.id.clone()).unwrap_or_default()
}

/// The witness is not where it was: it has changed or was deleted since, or this is another app.
async fn check_witness(client: &Client, feed: &Feed, since: &Mark, changes: &Changes) -> Result<()> {
    let named = |changes: &Changes| changes.records.iter().any(|change| change.id == since.witness);
    if since.witness.is_empty() || named(changes) {
        return Ok(());
    }
    let ids = [since.witness.clone()];
    let known = match client.fetch(&feed.collection, &feed.mapped, &ids).await?.first() {
        Some(Fetched::Row(_, version)) => {
            version.as_ref().and_then(|version| version.parse().ok()).is_some_and(|v: i64| v > since.revision)
        }
        Some(Fetched::Absent) | None => {
            let object = &feed.collection.table.name.name;
            let last = changes.records.last().map_or(since.revision, |last| last.stamp);
            named(&self::changes(client, object, last, usize::MAX).await?)
        }
        Some(Fetched::Unreadable(_) | Fetched::Later) => true,
    };
    if known { Ok(()) } else { Err(replaced()) }
}

fn replaced() -> Error {
    let message =
        "this is not the app it was: what was read last is not there any more, and was not deleted; nothing was written";
    Error::new(Kind::Identity, message).hint(EMPTIED)
}

const EMPTIED: &str = "see docs/apps.md, \"an app that was emptied or restored\"";

/// A collection that was there and is not: no sign of deletes.
fn lost_sight(error: Error, tracked: &Tracked) -> Error {
    if tracked.since.is_none() || !matches!(error.kind(), Kind::Schema | Kind::Denied) {
        return error;
    }
    let message = "the collection is not there any more: the app was emptied or replaced, or this user sees less of it";
    Error::new(Kind::Identity, message).hint(EMPTIED)
}

/// One change of the feed.
pub(super) struct Change {
    pub id: String,
    pub stamp: i64,
    gone: bool,
    record: Json,
}

#[derive(Default)]
pub(super) struct Changes {
    /// In the order of their stamps.
    pub records: Vec<Change>,
    more: bool,
}

/// The feed after a revision: to its end, or to about `limit` changes.
pub(super) async fn changes(client: &Client, object: &str, since: i64, limit: usize) -> Result<Changes> {
    let request = &client.object().changes;
    let mut all = Changes::default();
    let mut next = Some(client.call(request, object, &[(Place::Cursor, &since.to_string())])?);
    while let Some(call) = next.take() {
        if all.records.len() >= limit {
            all.more = true;
            break;
        }
        let (records, following, _) = client.page(request, &call).await?;
        // An app that names a next page and gives an empty one would keep us for ever.
        next = following.filter(|_| !records.is_empty());
        for record in records {
            let (Some(id), Some(stamp)) = (client.id(&record), client.version(&record)) else { return Err(shapeless()) };
            if all.records.last().is_some_and(|last| last.stamp >= stamp) || stamp <= since {
                return Err(Error::new(Kind::Unreachable, "the app's changes are not in the order of their stamps"));
            }
            all.records.push(Change { id: id.to_owned(), stamp, gone: client.is_tombstone(&record), record });
        }
    }
    Ok(all)
}
