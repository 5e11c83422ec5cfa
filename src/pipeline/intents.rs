//! Intents: creates at an app whose outcome nobody has recorded, and what a look tells of them (rule 20).

use std::collections::HashSet;
use std::time::Duration;

use super::batch::Batch;
use super::item::Item;
use super::record::record;
use super::{Mode, Pipeline};
use crate::endpoint::{Conditional, Fetched, Looked};
use crate::error::{Context, Result};
use crate::model::{Base, Both, Entry, Intent, Key, KeyBytes, Link, Pair, PairStatus, Pos, Reason, Side, Value, Work};
use crate::reconcile::{self, Action, PairIndex, Situation};
use crate::sql::Session;
use crate::state;

/// The creates whose outcome is not known, as the keys nothing may be concluded about.
#[derive(Default)]
pub(super) struct Unsettled {
    /// By link: the key on the other side, and the one we chose.
    keys: HashSet<(i64, Side, KeyBytes)>,
    /// Records of the other side that are not created again: they may have been, and no look will ever tell.
    unproven: HashSet<(i64, Side, KeyBytes)>,
    /// Whether the state may hold intents: always after a take-over.
    any: bool,
}

impl Unsettled {
    /// Before anything is known.
    pub(super) fn unknown() -> Unsettled {
        Unsettled { any: true, ..Unsettled::default() }
    }

    pub(super) fn add(&mut self, intent: &Intent, chosen: &Key) {
        self.any = true;
        if !intent.gone {
            self.keys.insert((intent.link, intent.side.other(), intent.key.clone()));
        }
        self.keys.insert((intent.link, intent.side, chosen.encode()));
    }

    /// What became of it is recorded.
    pub(super) fn remove(&mut self, intent: &Intent, chosen: &Key) {
        self.keys.remove(&(intent.link, intent.side.other(), intent.key.clone()));
        self.keys.remove(&(intent.link, intent.side, chosen.encode()));
    }
}

/// Why a record is not created where only its user can know whether it was.
const UNPROVEN: &str = "the answer to its creation was lost, and the app does not tell whether it was created and deleted since: if it never \
     was, make it there by hand, and it is linked by `match`";

/// What a look has settled, to be recorded in one transaction.
#[derive(Default)]
struct Resolved {
    pairs: Vec<Pair>,
    work: Vec<Work>,
    intents: Vec<i64>,
}

impl Pipeline {
    /// Decisions about records whose creation is not settled wait: a twin may exist that the map does not
    /// know.
    pub(super) fn hold_unsettled(&self, link: &Link, batch: &mut Batch) {
        let Unsettled { keys, unproven, .. } = &self.unsettled;
        if keys.is_empty() && unproven.is_empty() {
            return;
        }
        for item in &mut batch.items {
            let creates = matches!(item.decision.as_ref().map(|decision| &decision.action), Some(Action::Create(..)));
            if named(keys, link, item) {
                item.decide_as(Situation::Undecided, Action::Retry);
            } else if creates && named(unproven, link, item) {
                item.hold(Situation::Undecided, UNPROVEN.to_owned());
            }
        }
    }

    /// Whether a create whose outcome is not known is about this record.
    pub(super) fn is_unsettled(&self, link: &Link, item: &Item) -> bool {
        named(&self.unsettled.keys, link, item)
    }

    /// Looks up the creates whose answer nobody recorded, before anything else is decided.
    pub(super) async fn resolve_intents(&mut self) -> Result<()> {
        if !self.unsettled.any {
            return Ok(());
        }
        self.unsettled = Unsettled::default();
        let integration = self.integration.clone();
        for (at, link) in integration.links.iter().enumerate() {
            if !self.goes(at) {
                self.unsettled.any = true;
                continue;
            }
            for side in Side::BOTH {
                let endpoint = self.endpoints[link.endpoint[side]].clone();
                let Some(app) = endpoint.conditional() else { continue };
                self.resolve_side(link, side, app).await.context(format!("link {}", link.name))?;
            }
        }
        Ok(())
    }

    async fn resolve_side(&mut self, link: &Link, side: Side, app: &dyn Conditional) -> Result<()> {
        let mut session = self.home_session().await?;
        let mut intents = state::intents(&mut *session, link).await?;
        intents.retain(|intent| intent.side == side);
        if intents.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key> = intents.iter().map(|intent| app.new_key(&intent.token)).collect();
        let found = app.look(&link.collection[side], &keys).await?;
        let others: Vec<KeyBytes> = intents.iter().filter(|intent| !intent.gone).map(|intent| intent.key.clone()).collect();
        let known = state::by_key(&mut *session, link, side.other(), &others).await?;
        drop(session);
        let mut resolved = Resolved::default();
        for ((intent, key), found) in intents.iter().zip(&keys).zip(found) {
            let before = known.iter().find(|pair| !intent.gone && pair.key[side.other()].as_ref() == Some(&intent.key));
            self.resolve(link, intent, key, &found, before, app.settled_after(), &mut resolved);
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        record(&mut *tx, link, resolved.pairs.iter()).await?;
        if !resolved.pairs.is_empty() {
            self.note_map(&mut *tx, link).await?;
        }
        state::write_work(&mut *tx, &resolved.work).await?;
        state::delete_intents(&mut *tx, &resolved.intents).await?;
        tx.commit().await?;
        self.door.step("app.resolved").await
    }

    /// What is found becomes a pair, with bases only where it is what was sent, so that all else is compared and not
    /// assumed equal; what was created and deleted since becomes one that lost this side, under the brake and the
    /// policy; what never was there after its time never will be.
    #[allow(clippy::too_many_arguments)] // What is known of one intent, and where the outcome goes.
    fn resolve(
        &mut self,
        link: &Link,
        intent: &Intent,
        key: &Key,
        found: &Looked,
        before: Option<&Pair>,
        settled_after: Duration,
        resolved: &mut Resolved,
    ) {
        let settled = self.door.now() > intent.deadline.saturating_add(seconds(settled_after));
        // A twin that was found, or made by hand, meanwhile.
        let has_twin = before.is_some_and(|pair| pair.key[intent.side].is_some());
        match found {
            // This one is nobody's: it must not take the other one's place.
            Looked::There(_) | Looked::Deleted(_) if has_twin => {
                tracing::info!(link = link.name, key = %key, "the outcome of a creation that was in doubt comes late: there is another twin");
            }
            Looked::There(fetched) => {
                tracing::info!(link = link.name, key = %key, "a record whose creation was in doubt is there");
                let pair = self.pair_found(link, intent, key, fetched, before);
                let gone = if intent.gone { self.gone(link, intent.side.other(), &pair) } else { None };
                resolved.work.push(gone.unwrap_or_else(|| self.compared(link, intent)));
                resolved.pairs.push(pair);
            }
            Looked::Deleted(pos) if *pos > intent.pos && intent.gone => {}
            // An older one of the same key says nothing of this creation.
            Looked::Deleted(pos) if *pos > intent.pos => {
                tracing::info!(link = link.name, key = %key, "a record whose creation was in doubt was created, and deleted since");
                let pair = self.pair_lost(link, intent, key, *pos, before);
                resolved.work.extend(self.gone(link, intent.side, &pair));
                resolved.pairs.push(pair);
            }
            Looked::Never | Looked::Deleted(_) if settled => {}
            Looked::Absent if settled && has_twin => {}
            Looked::Absent if settled => {
                self.unsettled.any = true;
                if !intent.gone {
                    self.unsettled.unproven.insert((intent.link, intent.side.other(), intent.key.clone()));
                }
                return;
            }
            Looked::Never | Looked::Deleted(_) | Looked::Absent => {
                self.unsettled.add(intent, key);
                return;
            }
        }
        resolved.intents.push(intent.id);
    }

    fn pair_found(&mut self, link: &Link, intent: &Intent, key: &Key, found: &Fetched, before: Option<&Pair>) -> Pair {
        let mut pair = self.pair_of(link, intent, before);
        pair.key[intent.side] = Some(key.encode());
        pair.former[intent.side] = None;
        pair.pos[intent.side] = intent.pos;
        let row = match found {
            Fetched::Row(row, _) => Some(row),
            Fetched::Absent | Fetched::Unreadable(_) | Fetched::Later => None,
        };
        let as_sent = |(at, base): (usize, &Option<Base>)| {
            let now = row?.get(at)?.fingerprint();
            base.filter(|base| base.seen[intent.side] == now)
        };
        pair.bases = intent.sent.iter().enumerate().map(as_sent).collect();
        pair
    }

    fn pair_lost(&mut self, link: &Link, intent: &Intent, key: &Key, pos: Pos, before: Option<&Pair>) -> Pair {
        let mut pair = self.pair_of(link, intent, before);
        pair.key[intent.side] = None;
        pair.former[intent.side] = Some(key.encode());
        pair.pos[intent.side] = pos;
        pair.bases = intent.sent.clone();
        pair
    }

    fn pair_of(&mut self, link: &Link, intent: &Intent, before: Option<&Pair>) -> Pair {
        let mut pair = before.cloned().unwrap_or_else(|| Pair {
            id: self.next_id(),
            link: link.number,
            key: Both::default(),
            former: Both::default(),
            pos: Both::default(),
            status: PairStatus::Linked,
            ver: 0,
            cycle: 0,
            bases: Vec::new(),
        });
        let other = intent.side.other();
        let (live, former) = if intent.gone { (None, Some(intent.key.clone())) } else { (Some(intent.key.clone()), None) };
        (pair.key[other], pair.former[other]) = (live, former);
        pair.pos[other] = pair.pos[other].max(intent.moved);
        pair.ver += 1;
        pair.cycle = 0;
        pair
    }

    /// Folds what a log says onto creates whose outcome is not known, as onto pairs: the key of what they were made from may
    /// be another record's before it is.
    pub(super) async fn fold_intents(
        &mut self,
        session: &mut dyn Session,
        link: &Link,
        side: Side,
        entries: &[Entry],
    ) -> Result<()> {
        let endpoint = self.endpoints[link.endpoint[side.other()]].clone();
        let Some(app) = endpoint.conditional().filter(|_| self.unsettled.any && self.mode == Mode::Apply) else { return Ok(()) };
        let mut intents = state::intents(session, link).await?;
        intents.retain(|intent| intent.side == side.other());
        let mut pairs = Vec::with_capacity(intents.len());
        for intent in &intents {
            pairs.push(Pair { id: intent.id, ..self.pair_of(link, intent, None) });
        }
        // (There are no bases to compare with yet: once its record is found, what was sent is.)
        let folded = reconcile::fold(entries, side, PairIndex::new(pairs, side), &reconcile::AsLogged);
        let mut moved = Vec::with_capacity(folded.changed.len());
        for pair in folded.changed {
            let Some(before) = intents.iter().find(|intent| intent.id == pair.id) else { continue };
            let (gone, pos) = (pair.gone(side), pair.pos[side]);
            let Pair { key, former, .. } = pair;
            let key = key[side].clone().or_else(|| former[side].clone());
            let now = Intent { key: key.unwrap_or_else(|| before.key.clone()), moved: pos, gone, ..before.clone() };
            let chosen = app.new_key(&before.token);
            self.unsettled.remove(before, &chosen);
            self.unsettled.add(&now, &chosen);
            moved.push(now);
        }
        if moved.is_empty() {
            return Ok(());
        }
        self.rely_on(link.endpoint[side]).await?;
        let mut tx = self.home()?.begin(&self.fence).await?;
        self.remember(&mut *tx).await?;
        state::move_intents(&mut *tx, &moved).await?;
        tx.commit().await?;
        self.door.step("fold.intents").await
    }

    /// The record is on the worklist, whatever the cursors say.
    fn compared(&self, link: &Link, intent: &Intent) -> Work {
        Work {
            link: link.number,
            side: intent.side.other(),
            key: intent.key.clone(),
            lost: None,
            reason: Reason::Busy,
            cause: "its creation was in doubt: it is compared".to_owned(),
            waits: None,
            attempts: 0,
            next_try: 0,
            cycle: 0,
            since: self.door.now(),
            approved: None,
        }
    }
}

fn named(among: &HashSet<(i64, Side, KeyBytes)>, link: &Link, item: &Item) -> bool {
    let key = |side: Side| item.key[side].clone();
    !among.is_empty() && Side::BOTH.into_iter().any(|side| key(side).is_some_and(|key| among.contains(&(link.number, side, key))))
}

/// The bases of a record once it is there as it was sent. What was not sent, or is filled in later, is not.
pub(super) fn bases_sent(link: &Link, side: Side, theirs: &[Value], sent: &[Value], left_out: &[usize]) -> Vec<Option<Base>> {
    let base = |at: usize| {
        let mut seen = Both { source: theirs[at].fingerprint(), target: theirs[at].fingerprint() };
        if link.fields[at].direction.writes(side) && !left_out.contains(&at) {
            seen[side] = sent[at].fingerprint();
        }
        Some(Base::agreed(seen.source, seen.target))
    };
    (0..sent.len()).map(base).collect()
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
