//! Apply for an app: no transaction, no fence, so every write stands on its own proof (rule 20).
//!
//! A create is noted as an intent before it is sent, under a key we chose: whatever happens to the answer,
//! a look tells. An update and a delete carry the version they were decided on: a lost answer shows at the
//! next read, as our own value. A decision about a record whose creation is not settled waits.

use std::collections::HashSet;
use std::time::Duration;

use super::Pipeline;
use super::apply::{Do, Fate, still_to_write, todo};
use super::batch::Batch;
use super::conflicts::conflicts;
use super::item::{Item, Slot};
use super::job::{Done, given_key};
use super::record::{Written, record};
use crate::endpoint::{Conditional, Edit, Edited, Endpoint, Fetched, Outcome};
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Both, Conflict, Intent, Key, KeyBytes, Link, Pair, PairStatus, Pos, Reason, Side, Work};
use crate::reconcile::{Action, Decision, Situation};
use crate::state;

/// A noted create is sent within this time, or not at all: a process that was frozen in between finds its
/// intent expired.
const SEND_WITHIN_S: i64 = 30;

/// The creates whose outcome is not known, as the keys nothing may be concluded about.
#[derive(Default)]
pub(super) struct Unsettled {
    /// By link: the key on the other side, and the one we chose.
    keys: HashSet<(i64, Side, KeyBytes)>,
    /// Whether the state may hold intents: always after a take-over.
    any: bool,
}

impl Unsettled {
    /// Before anything is known.
    pub(super) fn unknown() -> Unsettled {
        Unsettled { any: true, ..Unsettled::default() }
    }

    fn add(&mut self, intent: &Intent, chosen: &Key) {
        self.any = true;
        self.keys.insert((intent.link, intent.side.other(), intent.key.clone()));
        self.keys.insert((intent.link, intent.side, chosen.encode()));
    }
}

/// One item's write, ready to be sent.
struct Sending {
    at: usize,
    what: Do,
    edit: Edit,
    intent: Option<Intent>,
}

impl Pipeline {
    /// As [`Pipeline::write_side`], for a side that is an app.
    pub(super) async fn write_app(&mut self, link_at: usize, side: Side, batch: &mut Batch, fates: &mut [Fate]) -> Result<()> {
        let integration = self.integration.clone();
        let link = &integration.links[link_at];
        let endpoint = self.endpoints[link.endpoint[side]].clone();
        let app = conditional(&*endpoint)?;
        let all = still_to_write(side, batch, fates);
        for part in all.chunks(app.batch().max(1)) {
            self.write_part(link, side, app, batch, part, fates).await.context(format!("link {}", link.name))?;
        }
        Ok(())
    }

    /// Notes, sends, records.
    async fn write_part(
        &mut self,
        link: &Link,
        side: Side,
        app: &dyn Conditional,
        batch: &mut Batch,
        part: &[usize],
        fates: &mut [Fate],
    ) -> Result<()> {
        let conflicts = conflicts(link, side, batch, part);
        if !conflicts.is_empty() {
            self.write_pending(&conflicts).await?;
        }
        let mut sendings: Vec<Sending> = Vec::with_capacity(part.len());
        for at in part {
            if let Some(what) = todo(&batch.items[*at], side) {
                sendings.extend(self.sending(link, side, app, *at, &batch.items[*at], what));
            }
        }
        self.door.step("app.begun").await?;
        self.note(app, &sendings).await?;
        let edits: Vec<Edit> = sendings.iter().map(|sending| sending.edit.clone()).collect();
        let answers = match app.write(&link.collection[side], &edits).await {
            Ok(answers) => answers,
            Err(error) => {
                // Nothing was sent: nothing to look up.
                self.forget(&sendings).await?;
                return Err(error);
            }
        };
        self.door.step("app.sent").await?;
        self.settle(link, side, app, batch, sendings, answers, &conflicts, fates).await
    }

    fn sending(&mut self, link: &Link, side: Side, app: &dyn Conditional, at: usize, item: &Item, what: Do) -> Option<Sending> {
        let collection = &link.collection[side];
        let key = item.key[side].as_ref().and_then(KeyBytes::decode);
        let version = match &item.slot[side] {
            Slot::Row(_, version) => version.clone(),
            Slot::None | Slot::Gone | Slot::Absent | Slot::Unreadable(_) => None,
        };
        let (edit, intent) = match &what {
            Do::Create(values) => {
                let given = given_key(collection).map(|given| Key(given.iter().map(|field| values[*field].clone()).collect()));
                let token = given.as_ref().map_or_else(|| self.door.instance(), Key::to_string);
                let intent = Intent {
                    id: self.next_id(),
                    link: link.number,
                    side,
                    key: item.key[side.other()].clone()?,
                    token: token.clone(),
                    epoch: self.fence.epoch,
                    deadline: self.door.now() + SEND_WITHIN_S,
                };
                let values = values.iter().cloned().enumerate().filter(|(field, _)| link.fields[*field].direction.writes(side));
                (Edit::Create { key: app.new_key(&token), values: values.collect() }, Some(intent))
            }
            Do::Update(values) => (Edit::Update { key: key?, version, values: values.clone() }, None),
            Do::Delete => (Edit::Delete { key: key?, version }, None),
        };
        Some(Sending { at, what, edit, intent })
    }

    /// The intents, before anything is sent; and not sent if they expired meanwhile.
    async fn note(&mut self, app: &dyn Conditional, sendings: &[Sending]) -> Result<()> {
        let intents: Vec<Intent> = sendings.iter().filter_map(|sending| sending.intent.clone()).collect();
        if intents.is_empty() {
            return Ok(());
        }
        for intent in &intents {
            self.unsettled.add(intent, &app.new_key(&intent.token));
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::write_intents(&mut *tx, &intents).await?;
        tx.commit().await?;
        self.door.step("app.noted").await?;
        if intents.iter().any(|intent| intent.deadline < self.door.now()) {
            return Err(Error::new(Kind::Retry, "this process was stopped for too long between a note and its write"));
        }
        Ok(())
    }

    async fn forget(&mut self, sendings: &[Sending]) -> Result<()> {
        let ids: Vec<i64> = sendings.iter().filter_map(|sending| Some(sending.intent.as_ref()?.id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::delete_intents(&mut *tx, &ids).await?;
        tx.commit().await
    }

    /// What became of each: pairs for what is done, the intents of what is certain go, in one transaction.
    #[allow(clippy::too_many_arguments)] // The parts of one step of `write_part`.
    async fn settle(
        &mut self,
        link: &Link,
        side: Side,
        app: &dyn Conditional,
        batch: &mut Batch,
        sendings: Vec<Sending>,
        answers: Vec<Edited>,
        conflicts: &[(usize, Conflict)],
        fates: &mut [Fate],
    ) -> Result<()> {
        let (mut written, mut certain) = (Vec::new(), Vec::new());
        for (sending, answer) in sendings.into_iter().zip(answers) {
            let Sending { at, what, edit, intent } = sending;
            let created = intent.is_some();
            match answer.outcome {
                Outcome::Done(key) => {
                    let done = Done { at, what, key: Some(key.encode()), stored: answer.stored, pos: answer.pos };
                    written.push(self.pair_after(link, side, &batch.items[at], done));
                }
                Outcome::Rejected(cause) => fates[at] = Fate::Refused(cause),
                // Our own key is taken: by a create of ours whose answer was lost on the way.
                Outcome::Stale if created && matches!(edit, Edit::Create { .. }) => {
                    fates[at] = Fate::Busy("it may have been created already".to_owned());
                    continue;
                }
                Outcome::Stale => fates[at] = Fate::Busy("the record changed meanwhile".to_owned()),
                Outcome::Unknown => {
                    fates[at] = Fate::Busy("the answer to its write was lost".to_owned());
                    continue;
                }
            }
            certain.extend(intent);
        }
        match self.record_app(link, &written, &certain, conflicts).await {
            Ok(()) => {}
            // What was created is looked up by its intent, what was updated is found equal.
            Err(error) if error.kind() == Kind::Stale => {
                written.iter().for_each(|written| fates[written.at] = Fate::Busy(error.message().to_owned()));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        for intent in &certain {
            self.unsettled.keys.remove(&(link.number, side.other(), intent.key.clone()));
            self.unsettled.keys.remove(&(link.number, side, app.new_key(&intent.token).encode()));
        }
        written.into_iter().for_each(|written| written.settle(&mut batch.items, fates));
        Ok(())
    }

    async fn record_app(
        &self,
        link: &Link,
        written: &[Written],
        certain: &[Intent],
        conflicts: &[(usize, Conflict)],
    ) -> Result<()> {
        let ids: Vec<i64> = certain.iter().map(|intent| intent.id).collect();
        let done = |at: &usize| written.iter().any(|written| written.at == *at);
        let kept: Vec<Vec<u8>> = conflicts.iter().filter(|(at, _)| done(at)).map(|(_, conflict)| conflict.id.clone()).collect();
        if written.is_empty() && ids.is_empty() {
            return Ok(());
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        record(&mut *tx, link, written.iter().map(|written| &written.pair)).await?;
        state::keep_conflicts(&mut *tx, &kept).await?;
        state::delete_intents(&mut *tx, &ids).await?;
        tx.commit().await?;
        self.door.step("app.recorded").await
    }

    /// Decisions about records whose creation is not settled wait: a twin may exist that the map does not
    /// know.
    pub(super) fn hold_unsettled(&self, link: &Link, batch: &mut Batch) {
        if self.unsettled.keys.is_empty() {
            return;
        }
        for item in &mut batch.items {
            let named = |side: Side| {
                let key = item.key[side].clone();
                key.is_some_and(|key| self.unsettled.keys.contains(&(link.number, side, key)))
            };
            if Side::BOTH.into_iter().any(named) {
                item.decision = Some(Decision { situation: Situation::Undecided, action: Action::Retry });
            }
        }
    }

    /// Looks up the creates whose answer nobody recorded, before anything else is decided: what is found
    /// becomes a pair, without bases, so that the two rows are compared and not assumed equal; what is not
    /// there after its time never will be.
    pub(super) async fn resolve_intents(&mut self) -> Result<()> {
        if !self.unsettled.any {
            return Ok(());
        }
        self.unsettled = Unsettled::default();
        let integration = self.integration.clone();
        for link in &integration.links {
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
        let others: Vec<KeyBytes> = intents.iter().map(|intent| intent.key.clone()).collect();
        let known = state::by_key(&mut *session, link, side.other(), &others).await?;
        drop(session);
        let (mut pairs, mut work, mut settled) = (Vec::new(), Vec::new(), Vec::new());
        for ((intent, key), found) in intents.iter().zip(&keys).zip(found) {
            if found == Fetched::Absent {
                if self.door.now() > intent.deadline.saturating_add(seconds(app.settled_after())) {
                    settled.push(intent.id);
                } else {
                    self.unsettled.add(intent, key);
                }
                continue;
            }
            tracing::info!(link = link.name, key = %key, "a record whose creation was in doubt is there");
            let before = known.iter().find(|pair| pair.key[side.other()].as_ref() == Some(&intent.key));
            pairs.push(self.pair_found(link, intent, key, before));
            work.push(self.compared(link, intent));
            settled.push(intent.id);
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        record(&mut *tx, link, pairs.iter()).await?;
        state::write_work(&mut *tx, &work).await?;
        state::delete_intents(&mut *tx, &settled).await?;
        tx.commit().await?;
        self.door.step("app.resolved").await
    }

    fn pair_found(&mut self, link: &Link, intent: &Intent, key: &Key, before: Option<&Pair>) -> Pair {
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
        pair.key[intent.side] = Some(key.encode());
        pair.key[intent.side.other()] = Some(intent.key.clone());
        pair.former[intent.side] = None;
        pair.pos[intent.side] = Pos::default();
        pair.bases = vec![None; link.fields.len()];
        pair.ver += 1;
        pair.cycle = 0;
        pair
    }

    /// The record is on the worklist, whatever the cursors say.
    fn compared(&self, link: &Link, intent: &Intent) -> Work {
        Work {
            link: link.number,
            side: intent.side.other(),
            key: intent.key.clone(),
            reason: Reason::Busy,
            cause: "its creation was in doubt: it is compared".to_owned(),
            waits: None,
            attempts: 0,
            next_try: 0,
            cycle: 0,
            since: self.door.now(),
        }
    }
}

fn conditional(endpoint: &dyn Endpoint) -> Result<&dyn Conditional> {
    endpoint.conditional().ok_or_else(|| Error::new(Kind::Internal, "this endpoint writes in transactions"))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
