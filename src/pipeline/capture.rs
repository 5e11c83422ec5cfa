//! Capture and fold: one moment of each endpoint, and what its entries say about the map.

use std::borrow::Cow;
use std::collections::HashMap;

use futures_util::future::join_all;

use super::evidence::forget_evidence;
use super::job::Known;
use super::{Mode, Pipeline, WINDOW_MAX};
use crate::endpoint::{Tracked, Window};
use crate::error::{Context, Result};
use crate::model::{Both, Entry, KeyBytes, Link, Op, Pair, Pos, Reason, Scan, ScanPart, Side, Work, work_name};
use crate::reconcile::{self, Dirty, Evidence, Folded, PairIndex};
use crate::sql::Session;
use crate::state;

/// One moment of every endpoint.
pub(super) struct Moment {
    pub(super) windows: Vec<Box<dyn Window>>,
    /// Per link and side: the collection's index in its endpoint's window; of a link that stands still it says nothing.
    places: Vec<Both<usize>>,
    /// Per link and side: dirty keys.
    pub(super) dirty: Vec<Both<Vec<Dirty>>>,
    /// The positions of their last entries, to look up, and whether these entries gave them the key.
    last: Vec<Both<HashMap<KeyBytes, (Pos, bool)>>>,
    /// What the next batch is about: its link by place, and keys. Looked up while this batch is written.
    pub(super) next: Option<(usize, Both<Vec<KeyBytes>>)>,
    /// Whether an endpoint had more entries than were read.
    pub(super) more: bool,
    /// How many entries were read.
    pub(super) entries: usize,
}

impl Moment {
    /// The window of a link's side and the collection's place in it.
    pub(super) fn window(&mut self, link_at: usize, link: &Link, side: Side) -> (&mut Box<dyn Window>, usize) {
        (&mut self.windows[link.endpoint[side]], self.places[link_at][side])
    }

    /// Whether an entry that was read is about this key.
    pub(super) fn names(&self, link_at: usize, side: Side, key: &KeyBytes) -> bool {
        self.last[link_at][side].contains_key(key)
    }

    /// The position of the last entry about a key: older entries say nothing about who has it now (rule 6).
    pub(super) fn last(&self, link_at: usize, side: Side, key: &KeyBytes) -> Pos {
        self.last[link_at][side].get(key).map_or(Pos::default(), |(pos, _)| *pos)
    }

    /// Whether the entries that were read tell how the record that has this key got it.
    pub(super) fn born(&self, link_at: usize, side: Side, key: &KeyBytes) -> bool {
        self.last[link_at][side].get(key).is_some_and(|(_, born)| *born)
    }

    /// How far the log of a link's side is read at this moment.
    pub(super) fn known(&self, link_at: usize, link: &Link, side: Side) -> Known {
        let (window, place) = (&self.windows[link.endpoint[side]], self.places[link_at][side]);
        Known { position: window.position(place), receipt: window.receipt(place) }
    }

    pub(super) fn place(&self, link_at: usize, side: Side) -> usize {
        self.places[link_at][side]
    }
}

impl Pipeline {
    /// Opens the windows and folds what their entries say onto the map.
    pub(super) async fn capture(&mut self, session: &mut dyn Session) -> Result<Moment> {
        let integration = self.integration.clone();
        let mut tracked: Vec<Vec<Tracked>> = vec![Vec::new(); self.endpoints.len()];
        let mut places = Vec::with_capacity(integration.links.len());
        for (at, link) in integration.links.iter().enumerate() {
            if !self.goes(at) {
                places.push(Both::default());
                continue;
            }
            let mut cursors = match &self.cursors[at] {
                Some(cursors) => cursors.clone(),
                None => self.cursors[at].insert(state::cursors(session, link).await?).clone(),
            };
            places.push(Both::from_fn(|side| {
                let list = &mut tracked[link.endpoint[side]];
                list.push(Tracked { collection: link.collection[side].clone(), since: cursors[side].take() });
                list.len() - 1
            }));
        }
        // The databases read their logs at the same time.
        let opening = self.endpoints.iter().zip(&tracked).map(|(endpoint, tracked)| endpoint.window(tracked, WINDOW_MAX));
        let mut windows = Vec::with_capacity(self.endpoints.len());
        for (at, window) in join_all(opening).await.into_iter().enumerate() {
            windows.push(window.context(format!("endpoint {}", integration.endpoints[at]))?);
        }
        self.door.step("capture.opened").await?;
        let mut moment = Moment {
            more: windows.iter().any(|window| window.more()),
            entries: windows.iter().map(|window| window.entries().len()).sum(),
            dirty: Vec::new(),
            next: None,
            last: Vec::new(),
            windows,
            places,
        };
        for (at, link) in integration.links.iter().enumerate() {
            let mut dirty = Both::<Vec<Dirty>>::default();
            let goes = self.goes(at);
            for side in Side::BOTH.into_iter().filter(|_| goes) {
                dirty[side] = reconcile::coalesce(&moment.entries_of(at, link, side));
                self.fold(session, &mut moment, at, link, side).await?;
            }
            let last =
                Both::from_fn(|side| dirty[side].iter().map(|dirty| (dirty.key.clone(), (dirty.pos, dirty.born))).collect());
            for side in Side::BOTH {
                self.survivors.read(link.number, side, &dirty[side]);
            }
            self.leave_to_compare(&moment, at, link, &mut dirty);
            moment.last.push(last);
            moment.dirty.push(dirty);
        }
        Ok(moment)
    }

    /// Marks deletes and renames on the pairs, in one transaction of the state. Acting on the marks comes
    /// later, under the brake: a pair that lost a side goes on the worklist. When only planning, it is supposed
    /// that they are marked.
    async fn fold(&mut self, session: &mut dyn Session, moment: &mut Moment, at: usize, link: &Link, side: Side) -> Result<()> {
        let entries = moment.entries_of(at, link, side);
        let keys = structural_keys(&entries);
        if keys.is_empty() && !entries.iter().any(|entry| entry.op == Op::Truncate) {
            return Ok(());
        }
        Box::pin(self.fold_intents(session, link, side, &entries)).await?;
        let mut pairs = self.pairs_by_key(session, link, side, &keys).await?;
        let returning = |entry: &&Entry| matches!(entry.op, Op::Return { .. });
        let returning: Vec<KeyBytes> = entries.iter().filter(returning).map(|entry| entry.key.encode()).collect();
        if !returning.is_empty() {
            pairs.extend(self.pairs_by_former(session, link, side, &returning).await?);
        }
        Box::pin(self.fold_away(session, moment, at, side, &keys)).await?;
        let evidence = Box::pin(self.evidence(session, moment, at, link, side, &pairs)).await?;
        let entries = moment.entries_of(at, link, side);
        self.fold_onto(session, link, side, &entries, pairs, &evidence).await
    }

    /// The same, once it is known which pairs the entries may be about, and what the rows say.
    pub(super) async fn fold_onto(
        &mut self,
        session: &mut dyn Session,
        link: &Link,
        side: Side,
        entries: &[Entry],
        pairs: Vec<Pair>,
        evidence: &(dyn Evidence + Sync),
    ) -> Result<()> {
        let made_before = self.made_before(link, side, &pairs);
        let mut folded = reconcile::fold(entries, side, PairIndex::new(pairs, side), evidence);
        folded
            .changed
            .iter_mut()
            .filter(|pair| folded.unsure.binary_search(&pair.id).is_ok())
            .for_each(|pair| forget_evidence(link, pair));
        if folded.changed.is_empty() && !folded.truncated {
            return Ok(());
        }
        let lost: Vec<&Pair> = folded.changed.iter().filter(|pair| folded.lost.binary_search(&pair.id).is_ok()).collect();
        Box::pin(self.watch_survivors(session, link, side, &lost)).await?;
        let lost_again = Box::pin(self.lost_again(session, link, side, &lost, &made_before)).await?;
        let lost: Vec<Work> = lost.into_iter().filter_map(|pair| self.gone(link, side, pair)).collect();
        let returned: Vec<(Side, KeyBytes)> = folded
            .changed
            .iter()
            .filter(|pair| folded.returned.binary_search(&pair.id).is_ok())
            .filter_map(|pair| Some((side, work_name(pair.key[side].as_ref()?, Some(pair.id)))))
            .collect();
        if self.mode == Mode::Plan {
            self.supposed.record(&folded.changed, &lost);
            self.supposed.take_off(link, &returned);
            if folded.truncated {
                self.supposed.compare(link);
            }
            return Ok(());
        }
        self.rely_on(link.endpoint[side]).await?;
        let mut tx = self.home()?.begin(&self.fence).await?;
        self.remember(&mut *tx).await?;
        record(&mut *tx, link, &folded).await?;
        state::delete_work(&mut *tx, link, &returned).await?;
        state::write_work(&mut *tx, &lost).await?;
        self.record_lost_again(&mut *tx, &lost_again).await?;
        if folded.truncated_by_others {
            self.survivors.forget(link.number);
        }
        if folded.truncated {
            // One that is under way starts over: it has passed some of the records.
            let recheck =
                state::scan(&mut *tx, link).await?.map(|scan| scan.part).filter(|part| matches!(part, ScanPart::Recheck(_)));
            let part = recheck.unwrap_or(ScanPart::Recheck(Both::default()));
            self.unchecked.insert(link.number);
            state::write_scan(&mut *tx, &Scan { link: link.number, part, after: None, asked: self.door.now() }).await?;
        }
        tx.commit().await?;
        self.door.step("fold.recorded").await
    }

    /// The worklist entry of a pair that lost a side. Due at once, in this very cycle.
    pub(super) fn gone(&self, link: &Link, side: Side, pair: &Pair) -> Option<Work> {
        Some(Work {
            link: link.number,
            side,
            key: pair.former[side].clone()?,
            lost: Some(pair.id),
            reason: Reason::Gone,
            cause: format!("deleted in the {side}"),
            waits: None,
            attempts: 0,
            next_try: 0,
            cycle: 0,
            since: self.door.now(),
            approved: None,
        })
    }
}

/// Keys that move may cross on their way (1 to 2 while 2 goes to 3): first all of them are let go.
async fn record(session: &mut dyn Session, link: &Link, folded: &Folded) -> Result<()> {
    if !folded.moved.is_empty() {
        state::let_go(session, &folded.changed).await?;
    }
    state::update(session, link, &folded.changed).await
}

impl Moment {
    pub(super) fn entries_of(&self, at: usize, link: &Link, side: Side) -> Cow<'_, [Entry]> {
        let of_it = |entry: &&Entry| entry.collection == self.places[at][side];
        let entries = self.windows[link.endpoint[side]].entries();
        match entries.iter().all(|entry| of_it(&entry)) {
            true => Cow::Borrowed(entries),
            false => Cow::Owned(entries.iter().filter(of_it).cloned().collect()),
        }
    }
}

/// The keys of entries that move keys.
pub(super) fn structural_keys(entries: &[Entry]) -> Vec<KeyBytes> {
    let mut keys = Vec::new();
    for entry in entries {
        match &entry.op {
            Op::Delete | Op::Replace | Op::PutBack | Op::Return { .. } => keys.push(entry.key.encode()),
            Op::Rename { to } => keys.extend([entry.key.encode(), to.encode()]),
            // A key that is given out again; its last holder may have gone without a trace.
            Op::Insert if !entry.own => keys.push(entry.key.encode()),
            Op::Insert | Op::Update | Op::Truncate => {}
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}
