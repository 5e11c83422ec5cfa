//! The full compare: every record of both sides through the map, in pages, while changes go on.
//!
//! A page yields keys, never rows: they are fetched and decided like any others (rule 3). It is used for a
//! first sync, after TRUNCATE or a repaired trigger, after an overlong log, and on request.

use std::collections::HashSet;

use super::batch::{Queue, lost, read_through};
use super::cycle::Doing;
use super::doubt::doubted;
use super::finish::todo_of;
use super::identify::{Known, same_record};
use super::item::Todo;
use super::supposed::Missing;
use super::{BATCH, Mode, Pipeline};
use crate::endpoint::{Fetched, Unread};
use crate::error::Result;
use crate::model::{Both, Key, KeyBytes, Link, Pair, Scan, ScanPart, Side, Work};
use crate::sql::Session;
use crate::state;

impl Pipeline {
    /// Asks for a full compare of these links; one that is under way starts over.
    pub async fn ask_scan(&mut self, links: &[usize]) -> Result<()> {
        for at in links {
            self.ask_compare(*at, None).await?;
        }
        Ok(())
    }

    /// Asks for a full compare of a link, of which something may be gone that no log tells of: first it is looked who is
    /// missing, so that they are counted before anything is written; and on the sides where another table may stand now, what the
    /// map knows of the rows is checked.
    pub(super) async fn ask_recheck(&mut self, at: usize, replaced: Both<bool>) -> Result<()> {
        self.ask_compare(at, Some(replaced)).await
    }

    async fn ask_compare(&mut self, at: usize, recheck: Option<Both<bool>>) -> Result<()> {
        let integration = self.integration.clone();
        let link = &integration.links[at];
        let mut tx = self.home()?.begin(&self.fence).await?;
        let before = match state::scan(&mut *tx, link).await?.map(|scan| scan.part) {
            Some(ScanPart::Recheck(before)) => Some(before),
            _ => None,
        };
        let either = |one: Both<bool>, other: Both<bool>| Both::from_fn(|side| one[side] || other[side]);
        let sides = recheck.into_iter().chain(before).reduce(either);
        let part = sides.map_or(ScanPart::Source, ScanPart::Recheck);
        let scan = Scan { link: link.number, part, after: None, asked: self.door.now() };
        state::write_scan(&mut *tx, &scan).await?;
        tx.commit().await?;
        self.unchecked.insert(link.number);
        // Something may have been missed.
        self.survivors.forget(link.number);
        Ok(())
    }

    /// Before anything of a link is decided: pairs whose row is not the one they were recorded with lose that
    /// side, so that no record takes over another's twin because it got its number (C4).
    pub(super) async fn recheck(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        if !self.unchecked.contains(&link.number) {
            return Ok(());
        }
        if let Some(scan) = state::scan(doing.session, link).await?
            && let ScanPart::Recheck(sides) = scan.part
        {
            let doubted = doubted(&state::brakes(doing.session, link).await?);
            let found = self.standing(doing, at, link, sides, doubted).await?;
            self.note_doubt(link, sides, doubted, found).await?;
            let replaced = found.replaced;
            let mut after = i64::MIN;
            loop {
                let mut pairs = state::page(doing.session, link, after, BATCH).await?;
                let Some(last) = pairs.last() else { break };
                after = last.id;
                // Of one that has lost a side, what is left may be in another table too, and is not to be deleted from that.
                let left = |pair: &Pair| Side::BOTH.into_iter().any(|side| replaced[side] && pair.key[side].is_some());
                pairs.retain(|pair| !lost(pair) || left(pair));
                let missing = self.find_missing(doing, at, link, pairs, replaced).await?;
                self.mark_missing(doing, link, &missing, replaced).await?;
            }
            let mut tx = self.home()?.begin(&self.fence).await?;
            state::write_scan(&mut *tx, &Scan { part: ScanPart::Source, ..scan }).await?;
            tx.commit().await?;
        }
        self.unchecked.remove(&link.number);
        Ok(())
    }

    /// The next page of a link's full compare, once its logs are drained.
    pub(super) async fn run_scan(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        if doing.moment.more && self.mode != Mode::Plan {
            return Ok(());
        }
        let Some(mut scan) = self.compare_of(doing.session, link).await? else { return Ok(()) };
        if self.mode == Mode::Plan {
            // A plan shows the whole of it.
            let replaced = self.supposed.missing(link).replaced;
            scan.part = ScanPart::Source;
            scan.after = None;
            while self.scan_page(doing, at, link, &mut scan, replaced).await? {}
            return Ok(());
        }
        let unfinished = self.scan_page(doing, at, link, &mut scan, Both::default()).await?;
        let mut tx = self.home()?.begin(&self.fence).await?;
        if unfinished {
            doing.counts.more = true;
            state::write_scan(&mut *tx, &scan).await?;
        } else {
            state::scan_done(&mut *tx, link).await?;
            // What it found gone is counted and decided in the next cycle.
            doing.counts.more |= self.comparing.contains(&link.number);
        }
        tx.commit().await?;
        self.door.step("scan.recorded").await
    }

    /// One page; moves `scan` on. `false`: that was the last one.
    async fn scan_page(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        scan: &mut Scan,
        replaced: Both<bool>,
    ) -> Result<bool> {
        let side = match scan.part {
            ScanPart::Recheck(_) | ScanPart::Source => Side::Source,
            ScanPart::Target => Side::Target,
            ScanPart::Pairs => return self.scan_pairs(doing, at, link, scan, replaced).await,
        };
        let after = scan.after.take().and_then(|key| KeyBytes::from(key.as_slice()).decode());
        let (window, place) = doing.moment.window(at, link, side);
        let keys = window.page(place, after.as_ref(), BATCH).await?;
        let complete = keys.len() < BATCH;
        scan.after = keys.last().map(|key| key.encode().as_bytes().to_vec());
        let unknown = self.unknown(doing.session, link, side, &keys).await?;
        let todos: Vec<Todo> = unknown.into_iter().map(|key| Todo::new(side, key)).collect();
        if self.mode == Mode::Plan {
            // Twins were counted when they were met from the source.
            let mut queue = Queue { todos, pairs: Vec::new() };
            while queue.len() > 0 {
                let part = queue.take(self.fit(link));
                let later = self.plan_batch(doing, at, link, part, side == Side::Source).await?;
                queue.put_back(later);
            }
        } else {
            self.run_batch(doing, at, link, todos, Vec::new()).await?;
        }
        if complete {
            scan.part = if side == Side::Source { ScanPart::Target } else { ScanPart::Pairs };
            scan.after = None;
        }
        Ok(true)
    }

    async fn scan_pairs(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        scan: &mut Scan,
        replaced: Both<bool>,
    ) -> Result<bool> {
        let after = scan.after.take().and_then(|bytes| bytes.try_into().ok()).map_or(i64::MIN, i64::from_be_bytes);
        let mut pairs = self.page_of_pairs(doing.session, link, after, BATCH).await?;
        let Some(last) = pairs.last() else { return Ok(false) };
        // Behind the last page come only pairs that were made meanwhile: where records are created without a pause there
        // is always one.
        let complete = pairs.len() < BATCH;
        scan.after = Some(last.id.to_be_bytes().to_vec());
        // What this cycle has written is newer than this moment's rows.
        pairs.retain(|pair| pair.cycle != self.cycle);
        let half: HashSet<i64> = pairs.iter().filter(|pair| lost(pair)).map(|pair| pair.id).collect();
        let found = self.find_missing(doing, at, link, pairs, replaced).await?;
        match self.mode {
            Mode::Apply => self.mark_missing(doing, link, &found, replaced).await?,
            Mode::Plan => self.plan_missing(doing, at, link, &found).await?,
        }
        // What had lost a side is on the worklist until it is settled; then it may have changed.
        let (half, pairs): (Vec<Pair>, Vec<Pair>) = found.rest.into_iter().partition(|pair| half.contains(&pair.id));
        let survivor = |pair: &Pair, side: Side| Some(Todo::new(side, pair.key[side].clone()?));
        let survivors = Side::BOTH.into_iter().flat_map(|side| half.iter().filter_map(move |pair| survivor(pair, side)));
        self.run_batch(doing, at, link, survivors.collect(), pairs).await?;
        Ok(!complete)
    }

    /// A live key without a row, read by key at a moment whose log is fully folded, is gone although no
    /// entry says so (TRUNCATE, a disabled trigger): marked, and decided under the brake. So is one with another
    /// record's row, on a side where another table may stand now.
    async fn mark_missing(&mut self, doing: &mut Doing<'_>, link: &Link, found: &Found, replaced: Both<bool>) -> Result<()> {
        let Found { marked, lost, .. } = found;
        if marked.is_empty() {
            return Ok(());
        }
        for side in Side::BOTH {
            self.rely_on(link.endpoint[side]).await?;
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        self.remember(&mut *tx).await?;
        state::update(&mut *tx, link, marked).await?;
        state::write_work(&mut *tx, lost).await?;
        for side in Side::BOTH {
            // Records of an app that it did not delete, and another table: however few they are, a person decides.
            if lost.iter().any(|work| work.side == side) && self.nobody_explains(link, side, replaced) {
                self.brake_unexplained(&mut *tx, link, side).await?;
            }
        }
        tx.commit().await?;
        doing.counts.more = true;
        self.door.step("scan.marked").await
    }

    /// When only planning, the same: what is missing was counted before, and is decided at once.
    async fn plan_missing(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link, found: &Found) -> Result<()> {
        let Found { marked, lost, .. } = found;
        let before = self.supposed.record(marked, lost);
        let todos = lost.iter().cloned().map(todo_of).collect();
        self.run_batch(doing, at, link, todos, Vec::new()).await?;
        self.supposed.forget(marked, lost);
        self.supposed.record(&before, &[]);
        Ok(())
    }

    /// When only planning: what a compare would find to be missing counts towards the brake before anything is decided, and
    /// so it does in a run, which compares first.
    pub(super) async fn foresee_missing(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        let Some(scan) = self.compare_of(doing.session, link).await? else { return Ok(()) };
        let asked = if let ScanPart::Recheck(sides) = scan.part { sides } else { Both::default() };
        let doubted = doubted(&state::brakes(doing.session, link).await?);
        let replaced = self.standing(doing, at, link, asked, doubted).await?.replaced;
        let first = matches!(scan.part, ScanPart::Recheck(_));
        let (mut missing, mut after) = (Missing { replaced, asked, first, ..Missing::default() }, i64::MIN);
        loop {
            let pairs = self.page_of_pairs(doing.session, link, after, BATCH).await?;
            let Some(last) = pairs.last() else { break };
            after = last.id;
            for work in self.find_missing(doing, at, link, pairs, replaced).await?.lost {
                missing.records[work.side] += 1;
            }
        }
        self.supposed.misses(link, missing);
        Ok(())
    }

    /// Which of these pairs miss a record.
    async fn find_missing(
        &self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        pairs: Vec<Pair>,
        replaced: Both<bool>,
    ) -> Result<Found> {
        let (mut whole, mut lost): (Vec<Pair>, Vec<Work>) = (pairs, Vec::new());
        for side in Side::BOTH {
            let live: Vec<(&Pair, Key)> =
                whole.iter().filter_map(|pair| Some((pair, pair.key[side].as_ref()?.decode()?))).collect();
            let keys: Vec<Key> = live.iter().map(|(_, key)| key.clone()).collect();
            let (window, place) = doing.moment.window(at, link, side);
            let mut missing: HashSet<KeyBytes> = HashSet::new();
            let each = |at: usize, row| {
                let (pair, key) = &live[at];
                let gone = match row {
                    Fetched::Absent => true,
                    Fetched::Row(row, _) => replaced[side] && same_record(link, pair, &row, side) != Known::Same,
                    Fetched::Unreadable(_) | Fetched::Later => false,
                };
                if gone {
                    missing.insert(key.encode());
                }
            };
            read_through(window, place, &keys, each).await?;
            let unread = window.unread(place, &keys, Unread::Moves).await?;
            for pair in &mut whole {
                let Some(key) = pair.key[side].clone() else { continue };
                if missing.contains(&key) && !unread.contains(&key) {
                    pair.key[side] = None;
                    pair.former[side] = Some(key);
                    // Not in this cycle: the guard has counted before the mark.
                    lost.extend(self.gone(link, side, pair).map(|work| Work { cycle: self.cycle, ..work }));
                }
            }
        }
        let ids: HashSet<i64> = lost.iter().filter_map(|work| work.lost).collect();
        let (marked, rest): (Vec<Pair>, Vec<Pair>) = whole.into_iter().partition(|pair| ids.contains(&pair.id));
        let marked = marked.into_iter().map(|pair| Pair { ver: pair.ver + 1, ..pair }).collect();
        Ok(Found { rest, marked, lost })
    }

    /// Those keys that no pair holds.
    async fn unknown(&self, session: &mut dyn Session, link: &Link, side: Side, keys: &[Key]) -> Result<Vec<KeyBytes>> {
        let keys: Vec<KeyBytes> = keys.iter().map(Key::encode).collect();
        let pairs = self.pairs_by_key(session, link, side, &keys).await?;
        let known: HashSet<KeyBytes> = pairs.into_iter().filter_map(|pair| pair.key[side].clone()).collect();
        Ok(keys.into_iter().filter(|key| !known.contains(key)).collect())
    }
}

/// What a compare finds of some pairs: those that miss no record but what the map knows of, those that do, marked, and what
/// goes on the worklist for them.
struct Found {
    rest: Vec<Pair>,
    marked: Vec<Pair>,
    lost: Vec<Work>,
}
